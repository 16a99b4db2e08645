/**
 * The door of the estate: targets, services, target groups, host keys. It knows what there is and whether a host key is
 * the one that was trusted; who may go there is not its business, and it holds no secret.
 */
export {
  certificateType,
  isVouchedFor,
  meetCertificate,
  parseCertificatePin,
  presentedCertificate,
  trustCertificate,
} from './certificates.ts';
export {
  type Change,
  declareTargetGroups,
  type DeclareOptions,
  declareTargets,
  type ServiceDeclaration,
  type TargetDeclaration,
  type TargetGroupDeclaration,
} from './declare.ts';
export {
  checkHostKey,
  checkPresented,
  type HostKey,
  type HostKeyCheck,
  hostKeysOf,
  meetHostKey,
  type Presented,
  presentedKey,
  recordMismatch,
  removeHostKey,
  trustHostKey,
} from './host-keys.ts';
export {
  type Platform,
  type Protocol,
  type Service,
  serviceFor,
  type ServiceId,
  type SessionProtocol,
  type Target,
  targetById,
  type TargetGroup,
  type TargetGroupId,
  targetGroups,
  targetGroupsOf,
  targetMemberships,
  targetNamed,
  targets,
} from './targets.ts';
