import type { CommandWords, OptionWords } from "./command-words.ts";
import type { Suggestions } from "./suggestions.ts";

/** A script for fish, to be saved as `quern.fish` in its folder of completions, or sourced. */
export function fishCompletions(commands: readonly CommandWords[]): string {
  return `# fish completion for quern: quern completions fish | source
complete -c quern -f
${commands.flatMap(commandLines).join("\n")}
`;
}

function commandLines({ name, options, argument, commands }: CommandWords): string[] {
  const condition = conditionOf(
    name,
    commands.map(([child]) => child),
  );
  const place = `complete -c quern -n ${quoted(condition)}`;
  const children = commands.map(([child, summary]) => `${place} -a ${child} -d ${quoted(summary)}`);
  const names = new Set(commands.map(([child]) => child));
  const values = (argument.values ?? []).filter((value) => !names.has(value));
  return [
    ...children,
    ...(values.length === 0 ? [] : [`${place} -a ${quoted(values.join(" "))}`]),
    ...(argument.files === true ? [`${place} -F`] : []),
    ...options.map((option) => `${place} ${optionWords(option)}`),
  ];
}

/** "imatrix show": both words were seen; "imatrix": it was, and none of those below it. */
function conditionOf(name: string, children: readonly string[]): string {
  const seen = name
    .split(" ")
    .filter((word) => word !== "")
    .map((word) => `__fish_seen_subcommand_from ${word}`);
  const unseen = children.length === 0 ? [] : [`not __fish_seen_subcommand_from ${children.join(" ")}`];
  return [...seen, ...unseen].join("; and ");
}

function optionWords({ flags, description, value }: OptionWords): string {
  const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  return [...names, ...(value === undefined ? [] : valueWords(value)), `-d ${quoted(description)}`].join(" ");
}

function valueWords({ values = [], list = false, files = false }: Suggestions): string[] {
  const words = values.join(" ");
  const offered = list ? `(__fish_complete_list , "printf '%s\\n' ${words}")` : words;
  return [files ? "-r -F" : "-x", ...(values.length === 0 ? [] : [`-a ${quoted(offered)}`])];
}

function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, "\\$&")}'`;
}
