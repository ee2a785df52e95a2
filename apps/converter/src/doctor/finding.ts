/** What a check has found. */
export interface Finding {
  /** "kernels" */
  readonly name: string;
  readonly state: "ok" | "warning" | "problem";
  readonly text: string;
  /** What to do; always there where something is wrong. */
  readonly advice?: string;
}

export function ok(name: string, text: string): Finding {
  return { name, state: "ok", text };
}

export function warning(name: string, text: string, advice: string): Finding {
  return { name, state: "warning", text, advice };
}

export function problem(name: string, text: string, advice: string): Finding {
  return { name, state: "problem", text, advice };
}
