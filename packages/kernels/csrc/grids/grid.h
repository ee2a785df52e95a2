// Codebooks of the IQ1, IQ2 and IQ3 types, and the tables with which quantizers find the points of a codebook ("grid") that are
// near to what they want: what iq2xs_init_impl and iq3xs_init_impl of ggml-quants.c (llama.cpp v0.5.0) make.
//
// Elements of a point are levels: 0 to 2 in eight dimensions, 0 to 7 in four. What values they stand for is up to the types.
// A code is a point, or any other vector of levels, in 16 bits: the first level lowest, 2 bits (of 8) or 3 bits (of 4) each.
// Its cell is the same with the number of levels as the base, so that cells are numbered without gaps.
#ifndef QUERN_GRIDS_GRID_H
#define QUERN_GRIDS_GRID_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { GRID_IQ2_XXS, GRID_IQ2_XS, GRID_IQ2_S, GRID_IQ1, GRID_IQ3_XXS, GRID_IQ3_S, GRID_COUNT } quern_grid_id;

typedef struct {
  int32_t size;           // points
  int32_t dimensions;     // 8 or 4
  const uint16_t *points; // codes by index, ascending
} quern_codebook;

// The codebooks, by quern_grid_id. Readers of blocks need no more.
extern const quern_codebook quern_codebooks[GRID_COUNT];

typedef struct {
  quern_codebook book;
  const uint32_t *cells;      // by cell: (point or list) << GRID_LENGTH_BITS | length of the list, 0 for a cell that is a point
  const uint32_t *contenders; // the same with lists that leave out neighbours that never win, see below; cells if there are none
  const uint16_t *neighbours; // codes; every list begins at a multiple of GRID_LANES
} quern_grid;

// Contenders are for searches whose errors are sums of what each element contributes, rounded or not, where an element contributes
// the less the fewer levels away from the cell's it is on the same side. A neighbour that another one is at least as near as in
// every element has no smaller error. As that one is nearer in all, it is before it in the list, where of equal errors the first
// wins. So leaving the farther one out changes no result; and left are a third of the neighbours, on average.

// The one door to tables that are made at run time: on the first call for a grid, once for all threads, in a few milliseconds.
// They are never freed. Implemented in grids.c, which does not depend on the instruction set.
const quern_grid *quern_grid_for(quern_grid_id id);

// Lists are padded to a multiple of this by repeating their last code, which changes nothing about which of them is first or
// best.
#define GRID_LANES 16
#define GRID_LENGTH_BITS 12
#define GRID_LONGEST_LIST 292

// ---- Entries of cells[] and contenders[]

static inline bool grid_is_point(uint32_t entry) { return (entry & ((1u << GRID_LENGTH_BITS) - 1)) == 0; }
// Index in the codebook, for points.
static inline uint32_t grid_point(uint32_t entry) { return entry >> GRID_LENGTH_BITS; }
// For other cells: how many neighbours there are, at least 1, and their codes, ordered by distance from the cell, then by index.
static inline uint32_t grid_length(uint32_t entry) { return entry & ((1u << GRID_LENGTH_BITS) - 1); }
static inline const uint16_t *grid_list(const quern_grid *grid, uint32_t entry) {
  return grid->neighbours + (uintptr_t)(entry >> GRID_LENGTH_BITS) * GRID_LANES;
}

#endif
