/** Gives so many bytes, with anything in them. Threads share what is made of a Hessian where the memory is shared. */
export type Allocate = (size: number) => ArrayBufferLike;

/** Memory of its own. */
export const ownMemory: Allocate = (size) => new ArrayBuffer(size);
