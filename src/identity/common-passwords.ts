/**
 * Passwords that are tried first, of those that would pass for their length: folded to lower case, letters and digits
 * only, also looked up without digits at the end. Repetitions of one short word are made here rather than listed.
 */
const words = `
  password passwort motdepasse contrasena wachtwoord qwerty qwertz azerty letmein welcome willkommen
  bienvenue admin administrator root master secret geheim dragon monkey football baseball sunshine
  princess iloveyou superman batman trustno1 changeme default guest test temp login access sallyport
  bastion summer winter spring autumn sommer january february march april june july august september
  october november december abc123 123abc 1q2w3e company computer internet server linux windows oracle
  cisco`;

const sequences = `
  123456789012 1234567890123 12345678901234 123456789123 1234567891011 987654321098 012345678901
  qwertyuiopasdf qwertyuiop qwertyuiopas qwertyuiopasdfgh qwertzuiopasdf asdfghjklqwerty
  asdfghjklzxcvb asdfghjkl zxcvbnmasdfgh azertyuiopqsdf abcdefghijkl abcdefghijklm abcdefghijklmn
  abcdefghijklmnop abcdefghijklmnopqrstuvwxyz 1q2w3e4r5t6y 1q2w3e4r5t6y7u 1qaz2wsx3edc
  1qaz2wsx3edc4rfv zaq12wsxcde3 qazwsxedcrfv qazwsxedc 1234qwerasdf 123qweasdzxc qweasdzxc123
  qweasdzxc q1w2e3r4t5y6 a1b2c3d4e5f6 correcthorsebatterystaple iloveyouforever iloveyousomuch
  letmeinplease passwordpassword adminadminadmin thisismypassword mypasswordis mypassword newpassword
  passwordisthis welcometothe welcomehome letmeinnow opensesame nopassword ilovemyfamily godisgood
  jesusislord manchesterunited harrypotter`;

const companions = '123 1234 12345 123456 admin root password user server 2024 2025 2026 2027';

function split(list: string): string[] {
  return list.trim().split(/\s+/);
}

function* entries(): Generator<string> {
  yield* split(sequences);
  for (const word of split(words)) {
    yield word;
    yield word + word;
    yield word + word + word;
    for (const other of split(companions)) {
      yield word + other;
      yield other + word;
    }
  }
}

export const commonPasswords: ReadonlySet<string> = new Set(entries());
