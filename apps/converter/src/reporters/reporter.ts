import type { ConversionEvent } from "@quern/pipeline";

/** Shows a conversion while it runs. */
export interface Reporter {
  onEvent(event: ConversionEvent): void;
  /** Leaves the stream at the beginning of a line; nothing is written afterwards. */
  close(): void;
}
