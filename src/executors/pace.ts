// How much goes into one submit. A watchdog takes a device for hung after 0.5 to 2 s, and how long a dispatch takes is known to nobody
// before: so each submit is timed, and the next run of the same program is cut into submits of about TARGET_MS. How commands are cut
// changes no number.

/** Far below the shortest watchdog, far above what a submit costs. */
const TARGET_MS = 100;

/** Milliseconds that a workgroup is taken to last until something was timed: a software driver's. */
const FIRST_RATE = 0.5;

/** Times rise at once and fall by this factor a run: a late answer must not make the next submit long. */
const FALL = 4;

/** What is believed of one program: milliseconds of each of its commands. */
export type Costs = number[];

export class Pace {
  /** Milliseconds of a workgroup. */
  #rate = FIRST_RATE;
  /** When the last submit was done. */
  #done = 0;

  /** Of a program that never ran: as its workgroups, by the pace of the programs before. */
  guess(workgroups: readonly number[]): Costs {
    return workgroups.map((groups) => groups * this.#rate);
  }

  /** Where each submit ends. One command that takes longer cannot be cut. */
  ends(costs: Costs): number[] {
    const ends: number[] = [];
    let sum = 0;
    costs.forEach((cost, i) => {
      if (i > 0 && sum + cost > TARGET_MS) {
        ends.push(i);
        sum = 0;
      }
      sum += cost;
    });
    if (costs.length > 0) ends.push(costs.length);
    return ends;
  }

  /** A submit of commands [first, end), submitted at `began`, has just been done. */
  timed(costs: Costs, workgroups: readonly number[], first: number, end: number, began: number): void {
    const now = performance.now();
    const took = now - Math.max(began, this.#done);
    this.#done = now;
    const groups = workgroups.slice(first, end).reduce((a, b) => a + b, 0);
    const rate = took / groups;
    for (let i = first; i < end; i++) costs[i] = Math.max(rate * workgroups[i], costs[i] / FALL);
    // A short submit is mostly the way there and back: it shows that workgroups are faster than believed, never that they are slower.
    if (rate < this.#rate || took > TARGET_MS / 10) this.#rate = Math.max(rate, this.#rate / FALL);
  }
}
