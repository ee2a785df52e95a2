import type { FitParams, FittedGrid, Grid } from "../grids/grid.ts";

/** The same grid without what kernels take: everything about it is computed element by element. */
export function oneByOne<F extends FittedGrid>(grid: Grid<F>): Grid<F> {
  return {
    ...grid,
    open(matrix) {
      const fitted = grid.open(matrix);
      return new Proxy(fitted, {
        get(target, key) {
          if (key === "tileCodes" || key === "factorCodes") return undefined;
          if (key === "fit") return (params: FitParams) => target.fit({ ...params, math: undefined });
          const member: unknown = Reflect.get(target, key, target);
          return typeof member === "function" ? (member.bind(target) as unknown) : member;
        },
      });
    },
  };
}
