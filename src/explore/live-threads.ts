/**
 * The generators of one execution. They can only go forward: to be at another place, they are made anew and given again what they were
 * given on the way to it, in that order, so that what a scenario keeps for itself is as it was.
 */
import type { Operation, Scenario } from "./model.js";

/** The running threads of a scenario, and all that they were given. */
export class LiveThreads {
  readonly #create: () => Scenario;
  #scenario!: Scenario;
  #generators: Generator<Operation, void, number>[] = [];
  /** What each thread wants to do next; undefined: it has not begun, or has ended. Of the place where the generators are. */
  readonly #operations: (Operation | undefined)[] = [];
  /** What was given to whom, in order; what stands behind #count belongs to a path that was left. */
  readonly #receivers: number[] = [];
  readonly #values: number[] = [];
  #count = 0;
  /** How many of these the generators have seen; -1: they have seen something else, and must be made anew. */
  #seen = 0;
  /** How often all were made anew, and how many values were given again. */
  restarts = 0;
  repeats = 0;

  constructor(create: () => Scenario) {
    this.#create = create;
    this.#begin();
  }

  /** The scenario whose threads these are, its own state being that of the present place. */
  get scenario(): Scenario {
    this.catchUp();
    return this.#scenario;
  }

  /**
   * What each thread wants to do next. Functions in older ones may see variables that were changed on another path since:
   * precondition: `catchUp` or `give` was the last call.
   */
  get operations(): readonly (Operation | undefined)[] {
    return this.#operations;
  }

  /** How many values were given up to the present place: what `backTo` wants. */
  get count(): number {
    return this.#count;
  }

  /** Goes back to the place where `count` values had been given. */
  backTo(count: number): void {
    this.#count = count;
    if (this.#seen > count) this.#seen = -1;
  }

  /** Gives a thread a value; its next operation, undefined: it has ended. Throws what the thread throws. */
  give(thread: number, value: number): Operation | undefined {
    if (this.#seen !== this.#count) this.catchUp();
    this.#receivers[this.#count] = thread;
    this.#values[this.#count] = value;
    this.#seen = ++this.#count;
    this.#operations[thread] = undefined;
    const { done, value: operation } = this.#generators[thread]!.next(value);
    return done === true ? undefined : (this.#operations[thread] = operation as Operation);
  }

  /** Lets the generators be at the present place. */
  catchUp(): void {
    if (this.#seen < 0) this.#begin();
    while (this.#seen < this.#count) {
      const at = this.#seen++;
      const thread = this.#receivers[at]!;
      this.repeats++;
      this.#operations[thread] = undefined;
      try {
        const { done, value } = this.#generators[thread]!.next(this.#values[at]!);
        if (done !== true) this.#operations[thread] = value as Operation;
      } catch {
        // It threw when it was given this for the first time, and that was noted then.
      }
    }
  }

  #begin(): void {
    this.restarts++;
    this.#scenario = this.#create();
    this.#generators = this.#scenario.threads.map((thread) => thread.run());
    this.#operations.length = 0;
    for (const _ of this.#generators) this.#operations.push(undefined);
    this.#seen = 0;
  }
}
