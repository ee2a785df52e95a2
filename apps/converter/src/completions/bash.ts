import type { CommandWords } from "./command-words.ts";
import type { Suggestions } from "./suggestions.ts";

/** A script for bash 3.2 and newer, which `source` or a file in bash-completion's folder loads. */
export function bashCompletions(commands: readonly CommandWords[]): string {
  const nested = commands.filter(({ name }) => name.includes(" "));
  return `# bash completion for quern: source <(quern completions bash)
_quern_offer() { # values, separated by lines; whether several go into one word; whether files do, too
  local value last="$cur" before=''
  if [[ -n $2 && $cur == *,* ]]; then last="\${cur##*,}"; before="\${cur%,*},"; fi
  local nocase="$(shopt -p nocasematch)"
  shopt -s nocasematch
  for value in $1; do [[ $value == "$last"* ]] && COMPREPLY+=("$before$value"); done
  eval "$nocase"
  if [[ -n $3 ]]; then
    COMPREPLY+=($(compgen -f -- "$cur"))
    type compopt &>/dev/null && compopt -o filenames 2>/dev/null
  fi
}
_quern() {
  local IFS=$'\\n' cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command='' word index
  COMPREPLY=()
  if [[ $cur == = ]]; then cur=''; elif [[ $prev == = ]]; then prev="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    [[ $word == -* ]] && continue
    if [[ -z $command ]]; then command="$word"; continue; fi
    case "$command $word" in ${nested.length === 0 ? "''" : nested.map(({ name }) => `'${name}'`).join("|")}) command="$command $word" ;; esac
    break
  done
  case "$command" in
${commands.map(commandCase).join("\n")}
  esac
}
complete -F _quern quern
`;
}

function commandCase({ name, options, argument }: CommandWords): string {
  const withValue = options.flatMap(({ flags, value }) => (value === undefined ? [] : [{ flags, value }]));
  const cases = withValue.map(({ flags, value }) => `      ${flags.join("|")}) ${offer(value)}; return ;;`);
  return `  ${name === "" ? "''" : `'${name}'`})
    case "$prev" in
${[...cases, "      *) ;;"].join("\n")}
    esac
    if [[ $cur == -* ]]; then ${offer({ values: options.flatMap(({ flags }) => flags) })}
    else ${offer(argument)}; fi ;;`;
}

function offer({ values = [], list = false, files = false }: Suggestions): string {
  const words = values.map((value) => value.replaceAll(/['\\]/g, "\\$&")).join("\\n");
  return `_quern_offer $'${words}' '${list ? "list" : ""}' '${files ? "files" : ""}'`;
}
