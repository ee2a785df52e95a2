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

typedef float vf8 __attribute__((vector_size(32)));
typedef int32_t vi8 __attribute__((vector_size(32)));
typedef float vf8_memory __attribute__((vector_size(32), aligned(1), may_alias));

INLINE bool any_lane(vi8 mask) {
  uint64_t pairs[4];
  __builtin_memcpy(pairs, &mask, sizeof pairs);
  return (pairs[0] | pairs[1] | pairs[2] | pairs[3]) != 0;
}

typedef struct {
  int64_t clipped, vanished, groups;
} group_counts;

// Groups of weights, what became of them, and the values that show_ends made of them.
static void count_groups(const quern_ends *ends, const float *weights, const float *restored, const float *shown, int64_t count,
                         group_counts *counts) {
  vi8 clipped = {0};
  for (int64_t group = 0; group < count; group += ends->group) {
    const float *values = shown + group;
    float first = values[ends->at[0]], second = values[ends->at[1]], third = values[ends->at[2]], last = values[ends->at[3]];
    // A negative scale turns the grid round.
    float one = first + (first - second) * 0.5f, other = last + (last - third) * 0.5f;
    float low = one < other ? one : other, high = one < other ? other : one;
    vi8 weights_left = {0}, values_left = {0};
    for (int i = 0; i < ends->group; i += 8) {
      vf8 weight = *(const vf8_memory *)(weights + group + i), value = *(const vf8_memory *)(restored + group + i);
      clipped -= (weight < low) | (weight > high);
      weights_left |= weight != 0;
      values_left |= value != 0;
    }
    counts->vanished += any_lane(weights_left) && !any_lane(values_left);
  }
  for (int i = 0; i < 8; i++) counts->clipped += clipped[i];
  counts->groups += count / ends->group;
}

#endif
