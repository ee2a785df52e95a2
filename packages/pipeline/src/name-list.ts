/** Names for a message, not more than can be read: "a, b and 7 more". */
export function listNames(names: readonly string[], most: number): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
