/** Before the end-to-end tests: the packages they need. It builds nothing and starts nothing. */
import { requirePackages, testPackages } from '../lab/install.ts';

export async function setup(): Promise<void> {
  await requirePackages(testPackages);
}
