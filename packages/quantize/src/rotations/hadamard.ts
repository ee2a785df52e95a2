/**
 * A Hadamard matrix (entries 1 and -1, rows orthogonal) of `size` x `size` that is no product with one of size 2, row-major; undefined where
 * no construction below gives one. Paley 1933: from the squares modulo a prime q, of size q + 1 where q is 3 modulo 4, and 2 (q + 1) where q
 * is 1 modulo 4.
 */
export function hadamardMatrix(size: number): Int8Array | undefined {
  if (size === 1) return Int8Array.of(1);
  if (size % 4 !== 0) return undefined;
  if (isPrime(size - 1)) return skewMatrix(size - 1);
  const half = size / 2;
  return half % 2 === 0 && isPrime(half - 1) && (half - 1) % 4 === 1 ? doubledMatrix(half - 1) : undefined;
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

/** 0 by 0, 1 for squares modulo the prime, -1 for others. */
function quadraticCharacter(prime: number): Int8Array {
  const character = new Int8Array(prime).fill(-1);
  for (let i = 1; i < prime; i++) character[(i * i) % prime] = 1;
  character[0] = 0;
  return character;
}

/** I + S, S skew: a first row of 1, a first column of -1, differences' characters. */
function skewMatrix(prime: number): Int8Array {
  const size = prime + 1;
  const character = quadraticCharacter(prime);
  return Int8Array.from({ length: size * size }, (_, index) => {
    const [i, j] = [Math.floor(index / size), index % size];
    if (i === j) return 1;
    if (i === 0) return 1;
    return j === 0 ? -1 : character[(i - j + prime) % prime]!;
  });
}

/** The symmetric matrix of characters, each entry a matrix of 2 x 2: one for 0, plus or minus another for 1 and -1. */
function doubledMatrix(prime: number): Int8Array {
  const size = 2 * (prime + 1);
  const character = quadraticCharacter(prime);
  return Int8Array.from({ length: size * size }, (_, index) => {
    const [i, j] = [Math.floor(index / size), index % size];
    const [row, column] = [i >> 1, j >> 1];
    if (row === column) return i % 2 === 0 && j % 2 === 0 ? 1 : -1;
    const entry = row === 0 || column === 0 ? 1 : character[(row - column + prime) % prime]!;
    return i % 2 === 1 && j % 2 === 1 ? -entry : entry;
  });
}
