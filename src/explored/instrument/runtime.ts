/** What instrumented code calls: waiting for functions that may come to a shared access, and doing them at once where nobody can wait. */
import type { Operation } from "../../explore/index.js";

/** A function that may come to shared accesses, on its way. */
export type Access<Value> = Generator<Operation, Value, number>;

const generatorPrototype = Object.getPrototypeOf(Object.getPrototypeOf((function* () {})())) as object;

function isGenerator(value: unknown): value is Access<unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(Object.getPrototypeOf(value)) === generatorPrototype;
}

/** An iterator that ends at once with a value. */
class Ended<Value> {
  readonly #value: Value;

  constructor(value: Value) {
    this.#value = value;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Operation, Value> {
    return { done: true, value: this.#value };
  }
}

/** What `yield*` waits for: the generator that a call gave, or the value that it gave. */
export function $<Value>(result: Access<Value> | Value): Iterable<Operation> & { next(...values: number[]): IteratorResult<Operation, Value> } {
  return (isGenerator(result) ? result : new Ended(result)) as never;
}

/** Reads a property that may have become a generator method. */
export function $get(object: Record<string, unknown>, name: string): unknown {
  const getter = object[`${name}$get`];
  return $(typeof getter === "function" ? (getter as () => unknown).call(object) : object[name]);
}

/** Reads several properties, of which some may have become generator methods; an object with just these. */
export function* $take(object: Record<string, unknown>, names: readonly string[]): Access<Record<string, unknown>> {
  const taken: Record<string, unknown> = {};
  for (const name of names) taken[name] = yield* $get(object, name) as Access<unknown>;
  return taken;
}

/** What a getter does that has become a generator method: somebody reads it who cannot wait. */
export function $refuse(name: string): never {
  throw new Error(`expected ${name} to be read where it can be waited for: read it in a statement of its own`);
}

type ElementFunction = (...args: unknown[]) => unknown;

/**
 * Calls a function for each element of an array, a set or a map, as the array's method of that name would, and waits each time. For
 * Array.from the object is Array, and the elements come first among the arguments.
 */
export function $each(method: string, object: unknown, ...args: unknown[]): Access<unknown> {
  const [elements, use, initial] = method === "from" ? args : [object, ...args];
  const list = Array.isArray(elements) ? elements as unknown[] : Array.from(elements as ArrayLike<unknown>);
  return waitForEach(method === "from" ? "map" : method, list, use as ElementFunction, initial);
}

function* waitForEach(method: string, list: readonly unknown[], use: ElementFunction, initial: unknown): Access<unknown> {
  const results: unknown[] = [];
  let sum = initial;
  for (const [index, element] of list.entries()) {
    const isReduction = method === "reduce";
    const result = (yield* $(isReduction ? use(sum, element, index) : use(element, index))) as unknown;
    if (isReduction) sum = result;
    else if (method === "some" && Boolean(result)) return true;
    else if (method === "every" && !result) return false;
    else if (method === "find" && Boolean(result)) return element;
    else if (method === "filter" && Boolean(result)) results.push(element);
    else if (method === "map") results.push(result);
    else if (method === "flatMap") results.push(...(Array.isArray(result) ? result : [result]));
  }
  const ends: Readonly<Record<string, unknown>> = { some: false, every: true, reduce: sum, find: undefined, forEach: undefined };
  return method in ends ? ends[method] : results;
}

/** How operations are carried out outside an exploration. */
export interface AtOnce {
  carryOut(operation: Operation): number;
}

let atOnce: AtOnce | undefined;

/** Says who carries out the operations of `$now`; undefined = nobody may come to one. */
export function setAtOnce(to: AtOnce | undefined): void {
  atOnce = to;
}

/** Runs a function that may come to shared accesses to its end, at once: in constructors, and to set a scenario up. */
export function $now<Value>(waiting: unknown): Value {
  const iterator = waiting as Iterator<Operation, Value, number>;
  if (typeof (iterator as { next?: unknown }).next !== "function") return waiting as Value;
  let step = iterator.next(0);
  while (step.done !== true) {
    if (atOnce === undefined) throw new Error("expected no shared access here: it cannot be waited for");
    step = iterator.next(atOnce.carryOut(step.value));
  }
  return step.value;
}
