// Attempts of the search for the scale of IQ2 sub-blocks (iq2.h), all of them together: what every group of weights is rounded to
// at each scale, and which point becomes of that. From attempt to attempt scales shrink by a fiftieth, so that groups are mostly
// rounded to the same cell several times in a row: such a run has one list of neighbours.
#ifndef QUERN_IQ2_ATTEMPTS_H
#define QUERN_IQ2_ATTEMPTS_H

#include "iq2-tile.h"
#include "search/neighbour-runs.h"

enum {
  MOST_ATTEMPTS = 19,
  MOST_SLOTS = 13 * LANE_BLOCKS * MOST_GROUPS, // IQ2_XXS has 13 attempts at 4 groups, the others 19 at 2
  NO_SLOT = 0xffff,
  SHORTEST_RUN = 2, // that is searched together; a single attempt is not, and needs no margin
};

// A scale for each lane, and what becomes of it.
typedef struct {
  vf inverse[MOST_ATTEMPTS * STREAMS];
  bool usual[STREAMS]; // all scales have exact inverses, and nothing is too large for ggml's rounding
  // A slot for each group, in the order of attempts, streams, groups and lanes. Those of an attempt are rows.
  float scale[MOST_SLOTS];
  uint16_t rounded[MOST_SLOTS], codes[MOST_SLOTS]; // what the group is rounded to, and the point that becomes of it
  uint32_t starts[LANE_BLOCKS * MOST_GROUPS];      // by row: the attempts that begin a run, as bits
  float margins[LANE_BLOCKS * MOST_GROUPS];        // by row: see search/neighbour-runs.h
  // Slots whose neighbours are searched one by one: the entries of their cells, chained by the steps that the search takes.
  uint32_t entries[MOST_SLOTS];
  uint16_t next[MOST_SLOTS];
  uint16_t first[GRID_LONGEST_LIST / 4 + 1];
} iq2_attempts;

INLINE void iq2_attempt(iq2_attempts *all, int attempt, int stream, int groups, vf inverse, vf scale) {
  int first = attempt * STREAMS + stream;
  all->inverse[first] = inverse;
  for (int g = first * groups; g < (first + 1) * groups; g++) vstore(all->scale + g * VEC_LANES, scale);
}

// ---- Rounding

INLINE bool iq2_is_usual(vf inverse, vf magnitude) {
  return vall(vlt(vsplat(1e-30f), inverse) & vlt(inverse, vsplat(1e30f)) & vlt(inverse * magnitude, vsplat(4e6f)));
}

// The levels of a group are clamp(nearest((inverse * x - 1) / 2)): they change above 2, and at 4, since ties go to the even one.
INLINE vi iq2_round(bool usual, const vf *x, vf inverse) {
  vi code = {0};
  for (int i = GROUP - 1; i >= 0; i--) {
    vf scaled = inverse * x[i];
    code <<= 2;
    if (usual)
      code = vcount(vcount(code, vlt(vsplat(2), scaled)), vmask_not(vlt(scaled, vsplat(4))));
    else
      code |= vtruncate(vclamp(vnearest(0.5f * (scaled - 1)), 0, 2));
  }
  return code;
}

INLINE void iq2_round_group(bool usual, int attempts, int groups, int group, const iq2_tile *tile, iq2_attempts *all) {
  vi starts = {0}, before = vsplat_int(-1);
  for (int attempt = 0; attempt < attempts; attempt++) {
    vi code = iq2_round(usual, tile->x + group * GROUP, all->inverse[attempt * STREAMS + group / groups]);
    int slot = (attempt * STREAMS * groups + group) * VEC_LANES;
    vstore_u16((uint8_t *)(all->rounded + slot), code);
    vstore_u16((uint8_t *)(all->codes + slot), code);
    starts |= vselect_int(veq_int(code, before), vsplat_int(0), vsplat_int(1 << attempt));
    before = code;
  }
  // Unusual ones are taken one by one.
  if (!usual) starts = vsplat_int((1 << attempts) - 1);
  vstore((float *)(all->starts + group * VEC_LANES), (vf)starts);
}

NOINLINE void iq2_round_all(int count, int attempts, const iq2_tile *tile, iq2_attempts *all) {
  const int groups = count / GROUP;
  EACH_STREAM {
    vf lowest = all->inverse[s], highest = all->inverse[(attempts - 1) * STREAMS + s];
    all->usual[s] = iq2_is_usual(lowest, tile->magnitude[s]) && iq2_is_usual(highest, tile->magnitude[s]);
    for (int group = s * groups; group < (s + 1) * groups; group++) {
      if (__builtin_expect(all->usual[s], 1))
        iq2_round_group(true, attempts, groups, group, tile, all);
      else
        iq2_round_group(false, attempts, groups, group, tile, all);
    }
  }
}

// ---- Runs

// Elements within this of where their level changes may be no nearer to it than to the next one, for all that rounding did to the
// scale and its inverse.
#define BORDER 1e-5f

INLINE bool iq2_at_border(const float *row, float inverse) {
  uint32_t near = 0;
  for (int start = 0; start < NEIGHBOUR_ROW; start += VEC_LANES) {
    near |= vmask_bits(vlt(vabs(vabs(inverse * vload(row + start) - 3) - 1), vsplat(BORDER))) << start;
  }
  return (near & 0x0f0f) != 0; // without the weights
}

// The cell of a code.
INLINE uint32_t iq2_cell(uint32_t code) {
  code -= code >> 2 & 0x3333;       // two levels in four bits: first + 3 * second
  code -= 7 * (code >> 4 & 0x0f0f); // four in eight
  return code - 175 * (code >> 8);
}

// Attempts from low to high - 1 at a group in one cell.
typedef struct {
  uint32_t entry; // of the cell
  uint16_t row;
  uint8_t low, high;
} iq2_run;

// The entry of the cell of a run. Where an element lies at a border, it does so at the first attempt or at the last one, since it
// has another level before or after that; then contenders are too few.
INLINE uint32_t iq2_run_entry(const quern_grid *grid, const iq2_tile *tile, const iq2_attempts *all, int stream, int lane, int rows,
                              const iq2_run *run) {
  uint32_t cell = iq2_cell(all->rounded[run->low * rows + run->row]);
  if (grid->contenders == grid->cells) return grid->cells[cell];
  const float *inverses = (const float *)(all->inverse + stream) + lane, *values = tile->rows + run->row * NEIGHBOUR_ROW;
  bool border = !all->usual[stream] || iq2_at_border(values, inverses[run->low * LANE_BLOCKS]) ||
                iq2_at_border(values, inverses[(run->high - 1) * LANE_BLOCKS]);
  return (__builtin_expect(border, 0) ? grid->cells : grid->contenders)[cell];
}

// Lists the runs in cells that are no points, and returns their number.
NOINLINE int iq2_list_runs(int count, int attempts, const quern_grid *grid, const iq2_tile *tile, const iq2_attempts *all,
                           iq2_run *runs) {
  const int groups = count / GROUP, rows = LANE_BLOCKS * groups;
  iq2_run *run = runs;
  for (int g = 0; g < STREAMS * groups; g++) {
    for (int lane = 0; lane < VEC_LANES; lane++) {
      int row = g * VEC_LANES + lane;
      for (uint32_t starts = all->starts[row]; starts != 0;) {
        int low = __builtin_ctz(starts);
        starts &= starts - 1;
        int high = starts != 0 ? __builtin_ctz(starts) : attempts;
        *run = (iq2_run){0, (uint16_t)row, (uint8_t)low, (uint8_t)high};
        run->entry = iq2_run_entry(grid, tile, all, g / groups, lane, rows, run);
        run += !grid_is_point(run->entry);
      }
    }
  }
  return (int)(run - runs);
}

// The margins of search/neighbour-runs.h for scales from the first attempt's to the last one's; infinite, so that nothing is
// settled, where sums might overflow or be denormal.
NOINLINE void iq2_margins(int count, int attempts, const iq2_tile *tile, iq2_attempts *all) {
  const int groups = count / GROUP;
  EACH_STREAM {
    vf largest = vload(all->scale + s * groups * VEC_LANES);
    vf smallest = vload(all->scale + ((attempts - 1) * STREAMS + s) * groups * VEC_LANES);
    vf reach = 5 * largest + tile->magnitude[s];
    for (int g = s * groups; g < (s + 1) * groups; g++) {
      vf bound = tile->roots[g] * reach * reach, margin = RUN_MARGIN * bound / smallest;
      vm sound = vlt(vsplat(1e-30f), bound) & vlt(bound, vsplat(1e30f)) & vlt(largest, vsplat(1e15f)) &
                 vlt(vsplat(1e-20f), margin) & vlt(margin, vsplat(1e30f));
      vstore(all->margins + g * VEC_LANES, vselect(sound, margin, vsplat(__builtin_inff())));
    }
  }
}

// ---- Neighbours

// The errors of each element at each level.
INLINE void iq2_errors(const float *const *rows, const float *const *scales, level_table *tables) {
  vf scale = vsplat_quarters(scales);
  for (int half = 0; half < 2; half++) {
    vf x = vload_quarters(rows, half * 8), weights = vload_quarters(rows, half * 8 + 4), errors[3];
    for (int level = 0; level < 3; level++) {
      vf difference = scale * (float)(2 * level + 1) - x;
      errors[level] = weights * difference * difference;
    }
    level_tables_of(errors[0], errors[1], errors[2], tables + half * 4);
  }
}

// Replaces the codes of chained slots by their best neighbours.
NOINLINE void iq2_search_chains(int count, const quern_grid *grid, const iq2_tile *tile, iq2_attempts *all) {
  const uint32_t row_mask = (uint32_t)(LANE_BLOCKS * count / GROUP) - 1; // all these are powers of two
  for (int steps = 1; steps <= GRID_LONGEST_LIST / 4; steps++) {
    uint32_t next = all->first[steps];
    while (next != NO_SLOT) {
      neighbour_search search;
      const float *rows[QUARTERS], *scales[QUARTERS];
      uint32_t slots[QUARTERS], slot = next;
      for (int q = 0; q < QUARTERS; q++) {
        rows[q] = tile->rows + (slot & row_mask) * NEIGHBOUR_ROW;
        scales[q] = all->scale + slot;
        search.list[q] = grid_list(grid, all->entries[slot]);
        slots[q] = slot;
        // Where there are no more, the last one is searched again.
        next = all->next[slot];
        slot = next == NO_SLOT ? slot : next;
      }
      uint16_t codes[QUARTERS];
      iq2_errors(rows, scales, search.errors);
      best_neighbours(&search, steps, codes);
      for (int q = 0; q < QUARTERS; q++) all->codes[slots[q]] = codes[q];
    }
  }
}

INLINE void iq2_chain(uint32_t slot, uint32_t entry, iq2_attempts *all) {
  uint32_t steps = (grid_length(entry) + 3) / 4;
  all->entries[slot] = entry;
  all->next[slot] = all->first[steps];
  all->first[steps] = (uint16_t)slot;
}

// Turns what groups are rounded to into points.
NOINLINE void iq2_find_points(int count, int attempts, const quern_grid *grid, const iq2_tile *tile, iq2_attempts *all) {
  const int rows = LANE_BLOCKS * count / GROUP;
  iq2_run runs[MOST_SLOTS + 1];
  const iq2_run *end = runs + iq2_list_runs(count, attempts, grid, tile, all, runs);
  for (int steps = 0; steps <= GRID_LONGEST_LIST / 4; steps++) all->first[steps] = NO_SLOT;
  for (const iq2_run *run = runs; run < end; run++) {
    int length = (int)grid_length(run->entry);
    uint32_t left = (1u << run->high) - (1u << run->low);
    if (run->high - run->low >= SHORTEST_RUN && length <= LONGEST_RUN_LIST) {
      neighbour_run same_list = {
          .row = tile->rows + run->row * NEIGHBOUR_ROW,
          .list = grid_list(grid, run->entry),
          .length = length,
          .low = run->low,
          .high = run->high,
          .stride = rows,
          .scales = all->scale + run->row,
          .codes = all->codes + run->row,
          .margin = all->margins[run->row],
      };
      if (length <= VEC_LANES)
        left = run_winners(1, &same_list);
      else if (length <= 2 * VEC_LANES)
        left = run_winners(2, &same_list);
      else
        left = run_winners((length + VEC_LANES - 1) / VEC_LANES, &same_list);
    }
    for (; left != 0; left &= left - 1) iq2_chain((uint32_t)(__builtin_ctz(left) * rows + run->row), run->entry, all);
  }
  iq2_search_chains(count, grid, tile, all);
}

INLINE void iq2_found(const iq2_attempts *all, int attempt, int groups, vi *codes) {
  for (int g = 0; g < STREAMS * groups; g++) {
    codes[g] = vload_u16((const uint8_t *)(all->codes + (attempt * STREAMS * groups + g) * VEC_LANES));
  }
}

// Which groups of a vector of slots are not what they were rounded to.
INLINE vm iq2_moved(const iq2_attempts *all, int vector) {
  vi rounded = vload_u16((const uint8_t *)(all->rounded + vector * VEC_LANES));
  vi codes = vload_u16((const uint8_t *)(all->codes + vector * VEC_LANES));
  return vmask_not(veq_int(rounded, codes));
}

#endif
