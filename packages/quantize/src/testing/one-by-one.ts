import type { Grid, TiledGrid } from "../grids/grid.ts";

/** The same grid without what kernels take: everything about it is computed element by element. */
export function oneByOne(grid: Grid<TiledGrid>): Grid<TiledGrid> {
  return {
    ...grid,
    open(matrix) {
      const fitted = grid.open(matrix);
      return {
        ...fitted,
        tileCodes: undefined,
        fit: (params) => fitted.fit({ ...params, math: undefined }),
      };
    },
  };
}
