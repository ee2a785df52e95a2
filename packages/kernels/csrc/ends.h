// Where the grid of a block ends: which weights its codes cannot reach, and which groups of weights vanished.
//
// A group is what shares a scale (and a minimum, a shift). Its grid are the values that its codes stand for, with its scale as it is.
// A weight is clipped if it lies farther outside than half the distance between the last two values of the grid at that end: a grid
// that went on would have had another code for it.
#ifndef QUERN_ENDS_H
#define QUERN_ENDS_H

#include <stdbool.h>

#include "kernel.h"
#include "vec.h"

// Eight bytes that repeat: four that repeat, and one.
#define EVERY_4(bytes) (0x0000000100000001ull * (bytes))
#define EVERY_1(byte) (0x0101010101010101ull * (byte))
// Codes of four bits, two in a byte, or of more bits with those above in a field of their own: lowest, second, last but one, last.
#define NIBBLES EVERY_4(0xffee1100u)
#define UPPER_BITS EVERY_4(0xffff0000u)
#define TWO_BITS EVERY_4(0xffaa5500u)

INLINE void show_in_field(quern_code_field field, uint8_t *block) {
  uint8_t *place = block + field.offset, *end = place + field.length;
  for (; place + 8 <= end; place += 8) {
    uint64_t bytes;
    __builtin_memcpy(&bytes, place, 8);
    bytes = (bytes & field.kept) | field.codes;
    __builtin_memcpy(place, &bytes, 8);
  }
  for (int byte = 0; place < end; place++, byte++) {
    *place = (uint8_t)((*place & field.kept >> 8 * byte) | field.codes >> 8 * byte);
  }
}

// Copies blocks, and gives them the codes of `ends`.
INLINE void show_ends(const quern_type *type, const uint8_t *blocks, int64_t count, uint8_t *shown) {
  __builtin_memcpy(shown, blocks, (uintptr_t)(count * type->type_size));
  for (int f = 0; f < type->ends.field_count; f++) {
    quern_code_field field = type->ends.fields[f];
    for (int64_t block = 0; block < count; block++) show_in_field(field, shown + block * type->type_size);
  }
}

typedef struct {
  int64_t clipped, vanished, groups;
} group_counts;

INLINE bool all_zero(const float *values, int count) {
  int i = 0;
  while (i < count && values[i] == 0) i++;
  return i == count;
}

// Groups of weights, what became of them, and the values that show_ends made of them.
static void count_groups(const quern_ends *ends, const float *weights, const float *restored, const float *shown, int64_t count,
                         group_counts *counts) {
  vi clipped = {0};
  for (int64_t group = 0; group < count; group += ends->group) {
    const float *values = shown + group;
    float first = values[ends->at[0]], second = values[ends->at[1]], third = values[ends->at[2]], last = values[ends->at[3]];
    // A negative scale turns the grid round.
    float one = first + (first - second) * 0.5f, other = last + (last - third) * 0.5f;
    float low = one < other ? one : other, high = one < other ? other : one;
    int i = 0;
    for (; i + VEC_LANES <= ends->group; i += VEC_LANES) {
      vf weight = vload(weights + group + i);
      clipped = vcount(clipped, vlt(weight, vsplat(low)) | vlt(vsplat(high), weight));
    }
    for (; i < ends->group; i++) counts->clipped += weights[group + i] < low || weights[group + i] > high;
    counts->vanished += all_zero(restored + group, ends->group) && !all_zero(weights + group, ends->group);
  }
  for (int lane = 0; lane < VEC_LANES; lane++) counts->clipped += clipped[lane];
  counts->groups += count / ends->group;
}

#endif
