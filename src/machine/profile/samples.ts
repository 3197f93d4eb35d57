/** The samples of one vCPU: what ran, and for how many instructions. */

/** What a sample has found. */
export interface SampledCode {
  /** Whether it was the kernel's code (CPL 0 to 2). */
  readonly isKernel: boolean;
  /** Name of the task that ran (task_struct.comm); "" = the kernel did not tell. */
  readonly task: string;
  /** The instruction that was to be executed next. */
  readonly rip: bigint;
}

/** Samples in the order in which they were taken; `samples` and `weights` are of equal length. */
export interface VcpuSamples {
  readonly codes: readonly SampledCode[];
  /** Indices in `codes`. */
  readonly samples: Uint32Array<ArrayBuffer>;
  /** Instructions that each sample stands for. */
  readonly weights: Float64Array<ArrayBuffer>;
  /** The MSR LSTAR at the end: where SYSCALL goes to. */
  readonly syscallEntry: bigint;
}

/** Collects samples in bounded memory: when it is full, of each two neighbours one stays and stands for both. */
export class SampleList {
  readonly #codes: SampledCode[] = [];
  readonly #indices = new Map<string, number>();
  readonly #samples: Uint32Array<ArrayBuffer>;
  readonly #weights: Float64Array<ArrayBuffer>;
  #length = 0;

  readonly #random: () => number;

  /** `capacity` is an even number of samples; `random` gives a number from 0 to below 1, another one each time. */
  constructor(capacity: number, random: () => number) {
    this.#random = random;
    this.#samples = new Uint32Array(capacity);
    this.#weights = new Float64Array(capacity);
  }

  /** Adds a sample of `weight` instructions. Returns true when the list was full and has been thinned. */
  add(code: SampledCode, weight: number): boolean {
    const isFull = this.#length === this.#samples.length;
    if (isFull) this.#thin();
    this.#samples[this.#length] = this.#indexOf(code);
    this.#weights[this.#length++] = weight;
    return isFull;
  }

  /** All that was collected. */
  result(syscallEntry: bigint): VcpuSamples {
    return { codes: this.#codes, samples: this.#samples.slice(0, this.#length), weights: this.#weights.slice(0, this.#length), syscallEntry };
  }

  #indexOf(code: SampledCode): number {
    const key = `${code.isKernel ? "k" : "u"}${code.rip.toString(16)} ${code.task}`;
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.#codes.push(code) - 1;
      this.#indices.set(key, index);
    }
    return index;
  }

  #thin(): void {
    this.#length /= 2;
    for (let index = 0; index < this.#length; index++) {
      const [first, second] = [this.#weights[2 * index]!, this.#weights[2 * index + 1]!];
      // By lot: any fixed choice is in step with some loop of the guest, and takes the weight of its other parts to one.
      const isFirst = this.#random() * (first + second) < first;
      this.#samples[index] = this.#samples[2 * index + (isFirst ? 0 : 1)]!;
      this.#weights[index] = first + second;
    }
  }
}
