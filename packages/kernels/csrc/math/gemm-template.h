// Matrix products for one type of elements, in the way of BLIS (Van Zee and van de Geijn, "BLIS: A Framework for Rapidly
// Instantiating BLAS Functionality", ACM TOMS 41(3), 2015): both operands are packed into panels block by block, and a kernel
// computes tiles of TILE_ROWS x TILE_COLUMNS in registers. Included once per type, with these defined:
//   REAL, VECTOR, LANES, LOAD, STORE, SPLAT, FMA   the type and its vectors
//   NAMED(name)                                    the name of a function for this type
//   TILE_ROWS, TILE_VECTORS                        shape of a tile: what the registers hold
//   BLOCK_ROWS, BLOCK_DEPTH, BLOCK_COLUMNS         how much is packed at a time
//
// Each element of the product is a sum in order over blocks of BLOCK_DEPTH, each of which was summed in order from 0: that does
// not depend on where the element lies in a tile, nor on what else is computed. A tile at an edge is padded to a whole one.

#define TILE_COLUMNS (TILE_VECTORS * LANES)
#define ROUND_UP(count, unit) (((count) + (unit) - 1) / (unit) * (unit))
#define SMALLER(a, b) ((a) < (b) ? (a) : (b))

// c = alpha * a * b, plus c if `accumulate`, for one tile; a and b are panels of this depth.
static void NAMED(multiply_tile)(int64_t depth, const REAL *restrict a, const REAL *restrict b, REAL alpha, bool accumulate,
                                 REAL *restrict c, int64_t stride) {
  VECTOR sums[TILE_ROWS][TILE_VECTORS] = {0};
  for (int64_t k = 0; k < depth; k++, a += TILE_ROWS, b += TILE_COLUMNS) {
    VECTOR columns[TILE_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < TILE_VECTORS; v++) columns[v] = LOAD(b + v * LANES);
#pragma GCC unroll 16
    for (int row = 0; row < TILE_ROWS; row++) {
      VECTOR factor = SPLAT(a[row]);
#pragma GCC unroll 4
      for (int v = 0; v < TILE_VECTORS; v++) sums[row][v] = FMA(factor, columns[v], sums[row][v]);
    }
  }
  VECTOR factor = SPLAT(alpha);
#pragma GCC unroll 16
  for (int row = 0; row < TILE_ROWS; row++) {
#pragma GCC unroll 4
    for (int v = 0; v < TILE_VECTORS; v++) {
      REAL *target = c + row * stride + v * LANES;
      STORE(target, accumulate ? FMA(factor, sums[row][v], LOAD(target)) : factor * sums[row][v]);
    }
  }
}

// The same for the first rows and columns of a tile.
static void NAMED(multiply_edge)(int64_t depth, const REAL *a, const REAL *b, REAL alpha, bool accumulate, REAL *c,
                                 int64_t stride, int64_t rows, int64_t columns) {
  if (rows == TILE_ROWS && columns == TILE_COLUMNS) {
    NAMED(multiply_tile)(depth, a, b, alpha, accumulate, c, stride);
    return;
  }
  REAL tile[TILE_ROWS * TILE_COLUMNS] = {0};
  if (accumulate) {
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t column = 0; column < columns; column++) tile[row * TILE_COLUMNS + column] = c[row * stride + column];
    }
  }
  NAMED(multiply_tile)(depth, a, b, alpha, accumulate, tile, TILE_COLUMNS);
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t column = 0; column < columns; column++) c[row * stride + column] = tile[row * TILE_COLUMNS + column];
  }
}

// ---- Blocks: packed a of `rows`, packed b of `columns`

static void NAMED(multiply_blocks)(int64_t rows, int64_t columns, int64_t depth, const REAL *a, const REAL *b, REAL alpha,
                                   bool accumulate, REAL *c, int64_t stride) {
  for (int64_t column = 0; column < columns; column += TILE_COLUMNS) {
    for (int64_t row = 0; row < rows; row += TILE_ROWS) {
      NAMED(multiply_edge)(depth, a + row * depth, b + column * depth, alpha, accumulate, c + row * stride + column, stride,
                           SMALLER(TILE_ROWS, rows - row), SMALLER(TILE_COLUMNS, columns - column));
    }
  }
}

// ---- The whole product

// Packs `count` rows (of a) or columns (of b) from `first`, and of each the elements from k to k + depth.
typedef void NAMED(pack)(const void *operand, int64_t first, int64_t count, int64_t k, int64_t depth, REAL *panels);

typedef struct {
  int64_t rows, columns, depth;
  const void *a, *b;
  NAMED(pack) * pack_a, *pack_b;
  REAL alpha;
  bool accumulate;
  REAL *c;
  int64_t stride;
} NAMED(product);

// Packing may write up to a vector past the last panel.
enum {
  NAMED(A_PANELS) = BLOCK_ROWS * BLOCK_DEPTH + 64,
  NAMED(B_PANELS) = ROUND_UP(BLOCK_COLUMNS, TILE_COLUMNS) * BLOCK_DEPTH + 64,
  NAMED(PANEL_BYTES) = (NAMED(A_PANELS) + NAMED(B_PANELS)) * sizeof(REAL),
};

// panels: PANEL_BYTES, 64-byte aligned.
static void NAMED(multiply)(const NAMED(product) * p, REAL *panels) {
  REAL *a_panels = panels, *b_panels = panels + NAMED(A_PANELS);
  if (p->depth == 0 && !p->accumulate) {
    for (int64_t row = 0; row < p->rows; row++) {
      for (int64_t column = 0; column < p->columns; column++) p->c[row * p->stride + column] = 0;
    }
  }
  for (int64_t column = 0; column < p->columns; column += BLOCK_COLUMNS) {
    int64_t columns = SMALLER(BLOCK_COLUMNS, p->columns - column);
    for (int64_t k = 0; k < p->depth; k += BLOCK_DEPTH) {
      int64_t depth = SMALLER(BLOCK_DEPTH, p->depth - k);
      p->pack_b(p->b, column, columns, k, depth, b_panels);
      for (int64_t row = 0; row < p->rows; row += BLOCK_ROWS) {
        int64_t rows = SMALLER(BLOCK_ROWS, p->rows - row);
        p->pack_a(p->a, row, rows, k, depth, a_panels);
        NAMED(multiply_blocks)(rows, columns, depth, a_panels, b_panels, p->alpha, p->accumulate || k > 0,
                               p->c + row * p->stride + column, p->stride);
      }
    }
  }
}
