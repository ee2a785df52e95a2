// Takes back what gemm-template.h was told, so that it can be included for another type.
#undef TILE_ROWS
#undef TILE_VECTORS
#undef TILE_COLUMNS
#undef BLOCK_ROWS
#undef BLOCK_DEPTH
#undef BLOCK_COLUMNS
#undef REAL
#undef VECTOR
#undef LANES
#undef LOAD
#undef STORE
#undef SPLAT
#undef FMA
#undef NAMED
