/**
 * The shape of a region: which of its blocks are loops, and in which order they stand, so that as many jumps as possible are plain branches of
 * WebAssembly's structured control flow.
 *
 * Strongly connected blocks make a loop; its header comes first, and what is left of it without the jumps to the header is taken apart in the
 * same way (nested strongly connected components, as in Havlak, "Nesting of reducible and irreducible loops", 1997). What is not in a loop stands in topological order. A jump
 * that cannot be a branch, into the middle of a loop, names its block in LOCAL.entry and goes to the loop, which sends it on.
 */

/** A block, or a loop of items of which the first is the header's block. */
export type Item = number | Loop;

/** A loop: its header's block, and the items that are left without the jumps to it. */
export class Loop {
  /** Whether LOCAL.entry says at which block a round begins: some come into the middle of it. */
  dispatches = false;

  constructor(readonly items: readonly Item[], readonly blocks: ReadonlySet<number>) {}

  get header(): number { return this.items[0] as number; }
}

/** The items of a region of `successors.length` blocks, of which the numbers say to which blocks each jumps. */
export function shapeOf(successors: readonly (readonly number[])[]): Item[] {
  return itemsOf(successors.map((_, block) => block), (block) => successors[block]!);
}

function itemsOf(blocks: readonly number[], successors: (block: number) => readonly number[]): Item[] {
  const inside = new Set(blocks);
  const next = (block: number): number[] => successors(block).filter((to) => inside.has(to));
  return components(blocks, next).map((component) => {
    const isLoop = component.length > 1 || next(component[0]!).includes(component[0]!);
    if (!isLoop) return component[0]!;
    const header = headerOf(component, blocks, next);
    const rest = component.filter((block) => block !== header);
    return new Loop([header, ...itemsOf(rest, next)], new Set(component));
  });
}

/** The block that most jumps from outside lead to; among equals the one that most jumps lead to, then the first. */
function headerOf(component: readonly number[], blocks: readonly number[], next: (block: number) => readonly number[]): number {
  const own = new Set(component);
  const weight = new Map(component.map((block) => [block, 0]));
  for (const from of blocks) {
    for (const to of next(from)) {
      if (own.has(to)) weight.set(to, weight.get(to)! + (own.has(from) ? 1 : blocks.length + 1));
    }
  }
  return component.reduce((best, block) => (weight.get(block)! > weight.get(best)! ? block : best));
}

/** Strongly connected components in topological order (Tarjan, "Depth-first search and linear graph algorithms", 1972). */
function components(blocks: readonly number[], next: (block: number) => readonly number[]): number[][] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const open: number[] = [];
  const isOpen = new Set<number>();
  const found: number[][] = [];
  const visit = (block: number): void => {
    index.set(block, index.size);
    low.set(block, index.get(block)!);
    open.push(block);
    isOpen.add(block);
    for (const to of next(block)) {
      if (!index.has(to)) {
        visit(to);
        low.set(block, Math.min(low.get(block)!, low.get(to)!));
      } else if (isOpen.has(to)) low.set(block, Math.min(low.get(block)!, index.get(to)!));
    }
    if (low.get(block) !== index.get(block)) return;
    const component = open.splice(open.indexOf(block)).sort((a, b) => a - b);
    for (const each of component) isOpen.delete(each);
    found.push(component);
  };
  // Backwards, so that those that nothing leads to stand in their own order.
  for (let at = blocks.length - 1; at >= 0; at--) if (!index.has(blocks[at]!)) visit(blocks[at]!);
  return found.reverse();
}

/** One nesting: the loop (undefined = the region itself), its items, and the item being written. */
export interface Level {
  readonly loop: Loop | undefined;
  readonly items: readonly Item[];
  at: number;
}

/** Where a jump goes: to item `item` of level `level`, or round that level's loop; `through` are the loops that have to know the block by LOCAL.entry. */
export interface Route {
  readonly level: number;
  readonly item: number | "again";
  readonly through: readonly Loop[];
}

/** The way from what is being written to `block`, which is in one of the levels. `levels` are from the outermost on. */
export function routeTo(block: number, levels: readonly Level[]): Route {
  for (let level = levels.length - 1; ; level--) {
    const { loop, items, at } = levels[level]!;
    const item = items.findIndex((each) => contains(each, block));
    if (item < 0) continue;
    if (loop !== undefined && block === loop.header) return { level, item: "again", through: [] };
    // Back to something that is no header, of a loop or of the region: by its dispatch.
    if (item <= at) return { level, item: "again", through: [...(loop === undefined ? [] : [loop]), ...entered(items[item]!, block)] };
    return { level, item, through: entered(items[item]!, block) };
  }
}

/** Lets the loops that the jumps of `successors` lead into the middle of know their block by LOCAL.entry. */
export function planRoutes(successors: readonly (readonly number[])[], items: readonly Item[], loop?: Loop, outer: readonly Level[] = []): void {
  items.forEach((item, at) => {
    const levels = [...outer, { loop, items, at }];
    if (typeof item !== "number") planRoutes(successors, item.items, item, levels);
    else for (const to of successors[item]!) for (const through of routeTo(to, levels).through) through.dispatches = true;
  });
}

/** Whether `block` is `item` or in it. */
export function contains(item: Item, block: number): boolean { return typeof item === "number" ? item === block : item.blocks.has(block); }

/** The loops of `item` that `block` lies in the middle of. */
export function entered(item: Item, block: number): Loop[] {
  const loops: Loop[] = [];
  for (let at: Item | undefined = item; typeof at === "object" && at.header !== block; at = at.items.find((each) => contains(each, block))) loops.push(at);
  return loops;
}
