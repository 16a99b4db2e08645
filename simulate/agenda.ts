/** What will happen when: a heap of events by time, and among equal times by the order in which they were planned. */

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export interface Agenda {
  /** Simulated time, in milliseconds since the history began. */
  now: number;
  readonly plan: (at: number, run: () => void) => void;
  /** Runs what is due until nothing is left, or time is past `until`. */
  readonly runUntil: (until: number) => void;
}

/** An empty agenda at time 0. Throws when a history does not come to rest within `limit` events: it would never. */
export function newAgenda(limit: number): Agenda {
  const heap: Entry[] = [];
  let planned = 0;
  let ran = 0;
  const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

  function push(entry: Entry): void {
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || !before(entry, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = entry;
  }
  function pop(): Entry | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      let child = heap[down];
      if (child === undefined) break;
      const right = heap[down + 1];
      if (right !== undefined && before(right, child)) {
        down += 1;
        child = right;
      }
      if (!before(child, last)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
    return first;
  }

  const agenda: Agenda = {
    now: 0,
    plan: (at, run) => push({ at: Math.max(at, agenda.now), order: planned++, run }),
    runUntil: (until) => {
      for (let first = heap[0]; first !== undefined && first.at <= until; first = heap[0]) {
        if (++ran > limit) throw new Error(`it does not come to rest within ${limit} events`);
        pop();
        agenda.now = first.at;
        first.run();
      }
    },
  };
  return agenda;
}
