/** What is to be named: a mark of this size around a place. */
export interface LabelledMark {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly label: string;
}

export interface PlacedLabel {
  readonly label: string;
  readonly x: number;
  readonly y: number;
  readonly anchor: "start" | "middle" | "end";
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const CHARACTER_WIDTH = 7.6;
const LINE_HEIGHT = 15;
const GAP = 5;
/** Marks of the same name this near to each other need it once. */
const NEAR = 14;

/**
 * Places names beside their marks: to the right, else above, to the left, or below, wherever they meet no mark, no other name and not
 * the end of the plot first. One that finds no room is left out: its mark says it when it is pointed at.
 */
export function placeLabels(marks: readonly LabelledMark[], bounds: Box): PlacedLabel[] {
  const taken = marks.map(({ x, y, radius }): Box => ({
    left: x - radius,
    right: x + radius,
    top: y - radius,
    bottom: y + radius,
  }));
  const named: LabelledMark[] = [];
  return marks.flatMap((mark, index) => {
    const isNamed = named.some(
      ({ label, x, y }) => label === mark.label && Math.hypot(x - mark.x, y - mark.y) < NEAR,
    );
    if (isNamed) return [];
    for (const placed of candidates(mark)) {
      const box = boxOf(placed);
      const isInside = box.left >= bounds.left && box.right <= bounds.right && box.top >= bounds.top;
      if (!isInside || taken.some((other, at) => at !== index && overlap(box, other))) continue;
      taken.push(box);
      named.push(mark);
      return placed;
    }
    return [];
  });
}

function candidates({ x, y, radius, label }: LabelledMark): PlacedLabel[] {
  return [
    { label, x: x + radius + GAP, y, anchor: "start" },
    { label, x, y: y - radius - GAP - LINE_HEIGHT / 2, anchor: "middle" },
    { label, x: x - radius - GAP, y, anchor: "end" },
    { label, x, y: y + radius + GAP + LINE_HEIGHT / 2, anchor: "middle" },
  ];
}

function boxOf({ label, x, y, anchor }: PlacedLabel): Box {
  const width = CHARACTER_WIDTH * Array.from(label).length;
  const left = anchor === "start" ? x : anchor === "end" ? x - width : x - width / 2;
  return { left, right: left + width, top: y - LINE_HEIGHT / 2, bottom: y + LINE_HEIGHT / 2 };
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
