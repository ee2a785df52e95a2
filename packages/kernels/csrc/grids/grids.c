// Makes the tables of grid.h. Compiled once, for all instruction sets.

#include <stddef.h>

#include "grids/grid.h"
#include "grids/codebooks.h"

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof(array)[0]))

const quern_codebook quern_codebooks[GRID_COUNT] = {
    [GRID_IQ2_XXS] = {COUNT(iq2_xxs_points), 8, iq2_xxs_points},
    [GRID_IQ2_XS] = {COUNT(iq2_xs_points), 8, iq2_xs_points},
    [GRID_IQ2_S] = {COUNT(iq2_s_points), 8, iq2_s_points},
    [GRID_IQ1] = {COUNT(iq1_points), 8, iq1_points},
    [GRID_IQ3_XXS] = {COUNT(iq3_xxs_points), 4, iq3_xxs_points},
    [GRID_IQ3_S] = {COUNT(iq3_s_points), 4, iq3_s_points},
};

enum { CELLS_8 = 6561 /* 3^8 */, MOST_CELLS = CELLS_8, MOST_POINTS = COUNT(iq1_points) };
// Cells of one half of the dimensions.
enum { HALF_CELLS_8 = 81, HALF_CELLS_4 = 64, MOST_HALF_CELLS = HALF_CELLS_8 };

// ---- Storage. How long the lists are follows from the codebooks.

static uint32_t cells[GRID_COUNT][MOST_CELLS], contenders[GRID_COUNT][MOST_CELLS];

// First the lists of contenders that differ from those of neighbours.
enum {
  IQ2_XXS_CONTENDERS = 74224,
  IQ2_XS_CONTENDERS = 95312,
  IQ2_S_CONTENDERS = 0,
  IQ1_CONTENDERS = 98416,
  IQ3_XXS_CONTENDERS = 9504,
  IQ3_S_CONTENDERS = 21392,
};
static uint16_t iq2_xxs_lists[IQ2_XXS_CONTENDERS + 161136], iq2_xs_lists[IQ2_XS_CONTENDERS + 230560],
    iq2_s_lists[IQ2_S_CONTENDERS + 100576], iq1_lists[IQ1_CONTENDERS + 362352], iq3_xxs_lists[IQ3_XXS_CONTENDERS + 62432],
    iq3_s_lists[IQ3_S_CONTENDERS + 59296];

// What neighbours of a cell are: all points at the `distances` smallest distances that there are.
enum { MOST_DISTANCES = 3 };
static const struct {
  int32_t distances;
  int32_t contenders, capacity; // of lists
  uint16_t *lists;
} LISTS[GRID_COUNT] = {
    [GRID_IQ2_XXS] = {2, IQ2_XXS_CONTENDERS, COUNT(iq2_xxs_lists), iq2_xxs_lists},
    [GRID_IQ2_XS] = {2, IQ2_XS_CONTENDERS, COUNT(iq2_xs_lists), iq2_xs_lists},
    [GRID_IQ2_S] = {1, IQ2_S_CONTENDERS, COUNT(iq2_s_lists), iq2_s_lists},
    [GRID_IQ1] = {3, IQ1_CONTENDERS, COUNT(iq1_lists), iq1_lists},
    [GRID_IQ3_XXS] = {2, IQ3_XXS_CONTENDERS, COUNT(iq3_xxs_lists), iq3_xxs_lists},
    [GRID_IQ3_S] = {3, IQ3_S_CONTENDERS, COUNT(iq3_s_lists), iq3_s_lists},
};

// ---- Levels

static inline int level_bits(const quern_codebook *book) { return book->dimensions == 8 ? 2 : 3; }
static inline int level_count(const quern_codebook *book) { return book->dimensions == 8 ? 3 : 8; }

static uint32_t cell_of(const quern_codebook *book, uint32_t code) {
  int bits = level_bits(book);
  uint32_t cell = 0;
  for (int i = book->dimensions - 1; i >= 0; i--) {
    cell = cell * (uint32_t)level_count(book) + (code >> i * bits & ((1u << bits) - 1));
  }
  return cell;
}

// As many ones as each level, in fields one bit shorter than there are levels. What two of them differ in are the levels between.
static uint32_t thermometer_of(const quern_codebook *book, uint32_t code) {
  int bits = level_bits(book), field = level_count(book) - 1;
  uint32_t thermometer = 0;
  for (int i = 0; i < book->dimensions; i++) {
    thermometer |= ((1u << (code >> i * bits & ((1u << bits) - 1))) - 1) << i * field;
  }
  return thermometer;
}

static uint32_t code_of(const quern_codebook *book, int cell) {
  uint32_t code = 0;
  for (int i = 0; i < book->dimensions; i++, cell /= level_count(book)) {
    code |= (uint32_t)(cell % level_count(book)) << i * level_bits(book);
  }
  return code;
}

// Squared distances in levels of all points from a cell, in the dimensions from `first` to half of all further.
static void half_distances(const quern_codebook *book, int first, int half_cell, uint8_t *distances) {
  int bits = level_bits(book), levels = level_count(book);
  for (int j = 0; j < book->size; j++) distances[j] = 0;
  for (int i = first; i < first + book->dimensions / 2; i++, half_cell /= levels) {
    int level = half_cell % levels;
    for (int j = 0; j < book->size; j++) {
      int difference = (book->points[j] >> i * bits & ((1 << bits) - 1)) - level;
      distances[j] += (uint8_t)(difference * difference);
    }
  }
}

// ---- Lists

enum { NO_DISTANCE = 255 }; // larger than any: 4 * 7 * 7

// Compilers do not find these by themselves. All codebooks have a multiple of 16 points.
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint8_t bytes16_memory __attribute__((vector_size(16), aligned(1), may_alias));

// The smallest distance from `least` on.
static uint8_t next_distance(const uint8_t *distances, int count, uint8_t least) {
  bytes16 next = (bytes16){0} + (uint8_t)NO_DISTANCE;
  for (int j = 0; j < count; j += 16) {
    bytes16 distance = *(const bytes16_memory *)(distances + j);
    distance |= (bytes16)(distance < least);
    bytes16 less = (bytes16)(distance < next);
    next = (distance & less) | (next & ~less);
  }
  uint8_t smallest = NO_DISTANCE;
  for (int i = 0; i < 16; i++) smallest = next[i] < smallest ? next[i] : smallest;
  return smallest;
}

static bool any_up_to(const uint8_t *distances, uint8_t largest) {
  bytes16 near = (bytes16)(*(const bytes16_memory *)distances <= largest);
  uint64_t halves[2];
  __builtin_memcpy(halves, &near, sizeof near);
  return (halves[0] | halves[1]) != 0;
}

// Writes the indices of a list of neighbours and returns their number.
static int32_t list_neighbours(const quern_codebook *book, const uint8_t *distances, int wanted, uint16_t *list) {
  uint8_t nearest[MOST_DISTANCES], largest = 0;
  int found = 0;
  while (found < wanted) {
    uint8_t next = next_distance(distances, book->size, (uint8_t)(largest + 1));
    if (next == NO_DISTANCE) break;
    nearest[found++] = largest = next;
  }
  uint16_t candidates[MOST_POINTS + 1];
  int count = 0;
  for (int start = 0; start < book->size; start += 16) {
    if (!any_up_to(distances + start, largest)) continue;
    for (int j = start; j < start + 16; j++) {
      candidates[count] = (uint16_t)j;
      count += distances[j] <= largest;
    }
  }
  int32_t length = 0;
  for (int n = 0; n < found; n++) {
    for (int c = 0; c < count; c++) {
      if (distances[candidates[c]] == nearest[n]) list[length++] = candidates[c];
    }
  }
  return length;
}

// Drops what does not contend and returns the number of the others.
static int32_t list_contenders(const uint32_t *thermometers, uint32_t cell, int32_t length, const uint16_t *list,
                               uint16_t *contending) {
  uint32_t between[MOST_POINTS];
  int32_t count = 0;
  for (int32_t i = 0; i < length; i++) {
    uint32_t levels = thermometers[list[i]] ^ cell;
    bool beaten = false;
    for (int32_t k = 0; k < count && !beaten; k++) beaten = (between[k] & ~levels) == 0;
    if (beaten) continue;
    between[count] = levels;
    contending[count++] = list[i];
  }
  return count;
}

// Appends a list to those of a grid and returns its entry. What it is padded with repeats a code in the same one of four lanes,
// if it can.
static uint32_t append_list(quern_grid_id id, const uint16_t *list, int32_t length, int32_t *end) {
  uint16_t *codes = LISTS[id].lists + *end;
  int32_t padded = (length + GRID_LANES - 1) / GRID_LANES * GRID_LANES;
  uint32_t entry = (uint32_t)(*end / GRID_LANES) << GRID_LENGTH_BITS | (uint32_t)length;
  *end += padded;
  if (*end > LISTS[id].capacity) __builtin_trap(); // the figures above are wrong
  for (int32_t i = 0; i < padded; i++) {
    codes[i] = i < length ? quern_codebooks[id].points[list[i]] : codes[i < 4 ? length - 1 : i - 4];
  }
  return entry;
}

static quern_grid grids[GRID_COUNT];

static void make_grid(quern_grid_id id) {
  static uint8_t lower[MOST_HALF_CELLS][MOST_POINTS];
  static uint32_t thermometers[MOST_POINTS];
  uint8_t upper[MOST_POINTS], distances[MOST_POINTS];
  uint16_t list[MOST_POINTS], contending[MOST_POINTS];
  const quern_codebook *book = &quern_codebooks[id];
  int half_cells = book->dimensions == 8 ? HALF_CELLS_8 : HALF_CELLS_4;
  for (int half = 0; half < half_cells; half++) half_distances(book, 0, half, lower[half]);
  for (int j = 0; j < book->size; j++) {
    uint32_t cell = cell_of(book, book->points[j]);
    cells[id][cell] = contenders[id][cell] = (uint32_t)j << GRID_LENGTH_BITS;
    thermometers[j] = thermometer_of(book, book->points[j]);
  }

  int32_t contenders_end = 0, end = LISTS[id].contenders;
  for (int cell = 0; cell < half_cells * half_cells; cell++) {
    if (cell % half_cells == 0) half_distances(book, book->dimensions / 2, cell / half_cells, upper);
    for (int j = 0; j < book->size; j++) distances[j] = (uint8_t)(lower[cell % half_cells][j] + upper[j]);
    if (next_distance(distances, book->size, 0) == 0) continue; // a point
    int32_t length = list_neighbours(book, distances, LISTS[id].distances, list);
    cells[id][cell] = contenders[id][cell] = append_list(id, list, length, &end);
    int32_t count = list_contenders(thermometers, thermometer_of(book, code_of(book, cell)), length, list, contending);
    if (count < length) contenders[id][cell] = append_list(id, contending, count, &contenders_end);
  }
  if (contenders_end != LISTS[id].contenders) __builtin_trap();
  grids[id] = (quern_grid){
      .book = *book,
      .cells = cells[id],
      .contenders = contenders_end > 0 ? contenders[id] : cells[id],
      .neighbours = LISTS[id].lists,
  };
}

// ---- The door. A module of Wasm has one thread and makes the tables for itself.

#if defined(__wasm__)

const quern_grid *quern_grid_for(quern_grid_id id) {
  if (!grids[id].cells) make_grid(id);
  return &grids[id];
}

#else

#include <pthread.h>
#include <stdatomic.h>

static atomic_bool ready[GRID_COUNT];
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

const quern_grid *quern_grid_for(quern_grid_id id) {
  if (!atomic_load_explicit(&ready[id], memory_order_acquire)) {
    pthread_mutex_lock(&making);
    if (!atomic_load_explicit(&ready[id], memory_order_relaxed)) make_grid(id);
    atomic_store_explicit(&ready[id], true, memory_order_release);
    pthread_mutex_unlock(&making);
  }
  return &grids[id];
}

#endif
