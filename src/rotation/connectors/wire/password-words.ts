/**
 * Whether a prompt asks for a password, in the languages that Linux machines speak. Vocabulary only: which password is
 * meant follows from the order of the prompts (dialogue.ts), never from these words. Pure.
 */

/** What a password is called: Linux-PAM, shadow and sudo have these translations. Stems, in lower case. */
const passwords: readonly string[] = `
  password, passwort, kennwort, passord, pasvorto, wachtwoord, lösenord, adgangskode, lykilorð, mot de passe, contraseña,
  contrasenya, contrasigno, senha, palavra-passe, clave, parola, parolă, parole, parool, şifrə, şifre, heslo, hasło, geslo,
  lozink, zaporka, slaptažod, jelszó, salasana, pasahitz, focal faire, iphasiwedi, sandi, mật khẩu, парол, лозинк, κωδικ,
  συνθηματικ, პაროლ, ססמה, סיסמה, كلمة سر, كلمة السر, كلمة المرور, गुप्तशब्द, शब्दकूट, पासवर्ड, পাসওয়ার্ড, গুপ্তশব্দ, પાસવર્ડ, ਪਾਸਵਰਡ,
  ಗುಪ್ತಪದ, അടയാളവാക്ക്, රහස්පදය, கடவுச்சொல், సంకేతపదము, ପ୍ରବେଶ ସଙ୍କେତ, ពាក្យសម្ងាត់, 密码, 密碼, 口令, パスワード, 암호, 비밀번호`
  .normalize('NFKC')
  .trim()
  .split(/,\s+/);

/** Other secrets that are asked for in the same manner, some of them with the word password in it. */
const others = /one.?time|\botp\b|token|passcode|pass ?phrase|\bpin\b|\bcode\b|\beinmal/i;

/** Whether the words name a password, and nothing else that has to be kept hidden. */
export function namesPassword(prompt: string): boolean {
  // Khmer is written with invisible spaces in its words, Bengali with letters of one or of two parts.
  const words = prompt.normalize('NFKC').toLowerCase().replaceAll('\u200b', '');
  return !others.test(words) && passwords.some((word) => words.includes(word));
}
