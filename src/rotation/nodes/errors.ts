/** What can break or be refused between nodes, by stable code. */
import { defineErrors, type Refusal, refuse, SallyportError } from '../../base/errors.ts';

export const nodeErrors = defineErrors({
  'nodes.no-listener': {
    meaning: 'other nodes cannot reach the database of this one',
    remedy:
      'give the setting `node` (its address and port, and its host if others reach it by another name) and start Sallyport again',
  },
  'nodes.own-server': {
    meaning: 'the database is a server of yours, and only its administrator can let it talk to others',
    remedy:
      'let Sallyport run its own database on each node (no DATABASE_URL); several keepers on one server of yours are one node',
  },
  'nodes.name-invalid': {
    meaning: 'this is no name for a node',
    remedy: 'use up to 24 of a-z and 0-9, with single dashes inside, beginning with a letter',
  },
  'nodes.named': {
    meaning: 'this node has a name already',
    remedy: 'a name stays, because facts stand under it; see `sallyport node status`',
  },
  'nodes.not-named': {
    meaning: 'this node has no name yet',
    remedy: 'give it one with `sallyport node init --name NAME`',
  },
  'nodes.changing': {
    meaning: 'credentials are being changed just now, under the name that this node has',
    remedy:
      'wait until nothing is pending any more (`sallyport conflicts ls`, `sallyport history ACCOUNT`), then try again',
  },
  'nodes.invitation-invalid': {
    meaning: 'this is no invitation',
    remedy: 'make one on the other node with `sallyport node invite --file FILE`, and copy the file whole',
  },
  'nodes.same-name': {
    meaning: 'the other node has the same name',
    remedy: 'nodes are told apart by their names; start this one anew and give it another one',
  },
  'nodes.name-taken': {
    meaning: 'another machine has this name, or had it: facts stand under it that are not here',
    remedy:
      'start this one anew and give it a name that no node ever had; if the other one does not come back, forget it first with `sallyport node leave --peer`',
  },
  'nodes.invitation-expired': {
    meaning: 'the invitation is more than a day old',
    remedy: 'make a new one on the other node with `sallyport node invite --file FILE`; see that both clocks are right',
  },
  'nodes.unreachable': {
    meaning: 'the other node does not answer',
    remedy: 'see that its Sallyport runs, and that its address and port can be reached from here',
  },
  'nodes.place-in-use': {
    meaning: 'somebody reads at the place that the other node keeps in its log for this one',
    remedy:
      'a connection that was cut is given up within half a minute; if it stays so, another machine goes by the name of this node, or by a copy of its database',
  },
  'nodes.other-version': {
    meaning: 'the other node has another version of Sallyport',
    remedy: 'bring both to the same version first',
  },
  'nodes.peer-unknown': {
    meaning: 'there is no such node',
    remedy: '`sallyport node status` names the others',
  },
  'nodes.no-peer': {
    meaning: 'there is no other node',
    remedy: 'join one with `sallyport node join --file FILE`',
  },
  'nodes.no-peer-answers': {
    meaning: 'no other node answers, so nothing can be fetched, and nothing was changed',
    remedy: 'try again as soon as one of them can be reached',
  },
  'nodes.not-put-aside': {
    meaning: 'no fact was put aside under this number',
    remedy: '`sallyport node quarantine ls --all` names them',
  },
  'nodes.copy-stalled': {
    meaning: 'what another node has is being copied, and for a minute nothing has come',
    remedy: 'see the log of both database servers, then try again; nothing that came is lost',
  },
  'nodes.interrupted': {
    meaning: 'healing was broken off, because a node was to be forgotten meanwhile',
    remedy: 'run `sallyport node heal` again',
  },
  'nodes.set-back': {
    meaning: 'the database of this node is older than what other nodes have heard from it',
    remedy: 'fetch back what is missing with `sallyport node heal`; until then this node changes nothing',
  },
  'nodes.asking': {
    meaning: 'another node has changed its password, so this one cannot ask whether its own database was set back',
    remedy:
      'wait a minute: the other node tells it, or this one goes on without; an invitation of the other node ends it too',
  },
  'nodes.letter-refused': {
    meaning: 'a letter from another node cannot be believed',
    remedy:
      'see whether both have the same key ring; somebody with the password of the replication role may have written it',
  },
});

export type NodeErrorCode = keyof typeof nodeErrors;

export class NodeError extends SallyportError<NodeErrorCode> {
  constructor(code: NodeErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, nodeErrors[code], detail, options);
  }
}

export type NodeRefusal = Refusal<NodeErrorCode> & { readonly remedy: string };

/** Says no by one code of the catalogue, in its words; `detail` says of what. */
export function turnAway(code: NodeErrorCode, detail?: string): NodeRefusal {
  const { meaning, remedy } = nodeErrors[code];
  return { ...refuse(code, detail === undefined ? meaning : `${meaning}: ${detail}`), remedy };
}
