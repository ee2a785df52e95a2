import type { CommandWords, OptionWords } from "./command-words.ts";
import type { Suggestions } from "./suggestions.ts";

/** A script for zsh, to be called `_quern` in a folder of `fpath`, or sourced behind `compinit`. */
export function zshCompletions(commands: readonly CommandWords[]): string {
  const [program, ...others] = commands;
  return `#compdef quern
# zsh completion for quern: source <(quern completions zsh)
${others
  .filter(({ name }) => !name.includes(" "))
  .map((command) => commandFunction(command, others))
  .join("\n")}
${commandFunction(program!, others)}
if [[ $funcstack[1] == _quern ]]; then _quern "$@"; else compdef _quern quern; fi
`;
}

/** The function of a command; where there are commands below it, the first word that is one of them chooses. */
function commandFunction(command: CommandWords, others: readonly CommandWords[]): string {
  const { name, options, argument, commands } = command;
  const below = others.filter((other) => isBelow(name, other.name));
  const specifications = options.map(specification);
  const nested = name === "" ? "" : below.map((child) => `${commandFunction(child, [])}\n`).join("");
  if (commands.length === 0) {
    return `${functionName(name)}() {\n  _arguments -s ${[...specifications, quoted(`*:argument:${action(argument)}`)].join(" \\\n    ")}\n}`;
  }
  const menu = commands.map(([child, summary]) => quoted(`${child}:${summary}`)).join(" ");
  const cases = below.map((child) => `${last(child.name)}) ${functionName(child.name)} ;;`);
  const files = argument.files === true ? "_files; " : "";
  return `${nested}${functionName(name)}() {
  local line state
  local -a commands=(${menu})
  _arguments -s -C ${[...specifications, "'1: :->command'", "'*:: :->argument'"].join(" \\\n    ")}
  case $state in
    command) ${files}_describe command commands ;;
    argument) case $words[1] in
      ${cases.join("\n      ")}
      *) _files ;;
    esac ;;
  esac
}`;
}

function isBelow(name: string, other: string): boolean {
  const words = other.split(" ");
  return words.slice(0, -1).join(" ") === name;
}

function last(name: string): string {
  return name.split(" ").at(-1)!;
}

function functionName(name: string): string {
  return ["_quern", ...name.split(" ").filter((word) => word !== "")].join("_");
}

function specification({ flags, description, value, repeatable }: OptionWords): string {
  const exclusive = repeatable ? "*" : `(${flags.join(" ")})`;
  return flags
    .map((flag) => {
      const text = `${exclusive}${flag}[${description.replaceAll(/[[\]\\]/g, "\\$&")}]`;
      return quoted(value === undefined ? text : `${text}:value:${action(value)}`);
    })
    .join(" ");
}

function action({ values = [], list = false, files = false }: Suggestions): string {
  const words = values.map((value) => value.replaceAll(/[:\s]/g, "\\$&")).join(" ");
  if (values.length === 0) return files ? "_files" : " ";
  if (list) return `_sequence compadd - ${words}`;
  return files ? `{compadd - ${words}; _files}` : `(${words})`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
