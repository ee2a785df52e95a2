/** What a file is for, by the bits that it spends on a weight. Rules of thumb: measured figures say more. */
const USES: readonly (readonly [atLeast: number, use: string])[] = [
  [15, "to quantize from, and to compare with"],
  [7.5, "closest to the original"],
  [6, "nearly as close, and smaller"],
  [5.2, "a little more loss, smaller still"],
  [4.4, "what most people take: size and loss in balance"],
  [3.6, "little memory; losses can show"],
  [0, "where nothing larger fits; losses show"],
];

export function useOfType(bitsPerWeight: number): string {
  return USES.find(([atLeast]) => bitsPerWeight >= atLeast)![1];
}
