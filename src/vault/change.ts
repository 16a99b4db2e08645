/** What an idempotent declaration did to one object. */
export interface Change {
  readonly object: 'account' | 'policy';
  /** `root@web-01`, or a policy's name. */
  readonly name: string;
  readonly change: 'created' | 'changed' | 'removed' | 'same';
  /** Which fields differed, when something changed. */
  readonly fields?: readonly string[];
}
