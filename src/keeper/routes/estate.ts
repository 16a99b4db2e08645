/** Answers about what there is: apply, targets, host keys. */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal, type Refusal } from '../../base/errors.ts';
import type { RouteAnswers } from '../../contract/contract.ts';
import {
  checkPresented,
  hostKeysOf,
  type Service,
  type Presented,
  presentedCertificate,
  presentedKey,
  serviceFor,
  type Target,
  targetNamed,
  targets,
  trustCertificate,
  trustHostKey,
} from '../../estate/estate.ts';
import { scanCertificate, scanHostKeys } from '../../rotation/rotation.ts';
import { applyEstate } from '../apply.ts';
import { KeeperError } from '../errors.ts';
import { readEstate } from '../estate-file.ts';
import type { Rooms } from '../rooms.ts';

type Names = 'estate.apply' | 'target.list' | 'target.scan' | 'target.trust';

export function estateAnswers(rooms: Pick<Rooms, 'db' | 'clock'>, actor: Actor): Pick<RouteAnswers, Names> {
  const { db } = rooms;

  /** `win-01`: its ssh service, or else its rdp service; `win-01,rdp`: the one of that name. */
  async function serviceOf(words: string): Promise<{ target: Target; service: Service }> {
    const [name = '', wanted] = words.split(',');
    const target = await targetNamed(db, name);
    if (target === undefined) throw new KeeperError('keeper.no-such-thing', `target ${name}`);
    const service = serviceFor(target, 'ssh', wanted) ?? serviceFor(target, 'rdp', wanted);
    if (service === undefined)
      throw new KeeperError('keeper.no-such-thing', `${wanted ?? 'ssh or rdp'} service of ${name}`);
    return { target, service };
  }

  async function shownBy(
    target: Target,
    service: Service,
    signal: AbortSignal,
  ): Promise<Presented[] | Extract<Awaited<ReturnType<typeof scanCertificate>>, Refusal>> {
    if (service.protocol === 'rdp') {
      const found = await scanCertificate(target.address, service.port, signal);
      return isRefusal(found) ? found : [presentedCertificate(found)];
    }
    const found = await scanHostKeys(target.address, service.port, signal);
    return isRefusal(found) ? found : found.map(({ publicKey }) => presentedKey(publicKey));
  }

  return {
    'estate.apply': async ({ text, dryRun, prune }) => {
      const estate = readEstate(text);
      const result = await applyEstate(db, estate, { dryRun, prune, actor });
      const changes = result.changes.map(({ object, name, change, fields }) => ({
        object,
        name,
        change,
        ...(fields === undefined ? {} : { fields: [...fields] }),
      }));
      return { changes, unmentioned: [...result.unmentioned] };
    },
    'target.list': async () => {
      const all = await targets(db);
      const shown = await Promise.all(
        all.map(async (target) => {
          const keys = await Promise.all(target.services.map((service) => hostKeysOf(db, service.id)));
          return {
            name: target.name,
            platform: target.platform,
            address: target.address,
            services: target.services.map((service) => `${service.name}:${service.port}`),
            hostKeys: keys.flat().filter((key) => key.state === 'trusted').length,
          };
        }),
      );
      return { targets: shown };
    },
    'target.scan': async ({ name }, _part, signal) => {
      const { target, service } = await serviceOf(name);
      const found = await shownBy(target, service, signal);
      if (isRefusal(found)) return found;
      const keys = await Promise.all(
        found.map(async (one) => {
          const { verdict, fingerprint } = await checkPresented(db, service.id, one);
          return { algorithm: one.type, fingerprint, publicKey: one.blob, state: verdict };
        }),
      );
      return { address: target.address, port: service.port, keys };
    },
    'target.trust': async ({ name, keys }) => {
      const { service } = await serviceOf(name);
      const trustOne = service.protocol === 'rdp' ? trustCertificate : trustHostKey;
      for (const key of keys) await trustOne(db, service.id, key.publicKey, actor);
      const trusted = (await hostKeysOf(db, service.id)).filter((key) => key.state === 'trusted');
      return {
        trusted: trusted.map((key) => ({
          algorithm: key.type,
          fingerprint: key.fingerprint,
          publicKey: key.blob,
          state: 'trusted',
        })),
      };
    },
  };
}
