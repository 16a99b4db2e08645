/**
 * The desktop that targets of the lab show: a plain window manager, terminals and a logo at fixed places. Nothing on it
 * blinks or moves by itself, so that two pictures of it are equal whenever they are taken.
 */

/** For ~/.twmrc. */
export const windowManager = `RandomPlacement
NoTitleHighlight
NoHighlight
BorderWidth 1
TitleFont "fixed"
MenuFont "fixed"
IconFont "fixed"
`;

/** Shell commands that paint a desktop and end when its windows are shown. Terminals are `xterm` arguments by title. */
export function paint(colour: string, logo: string, terminals: Readonly<Record<string, string>>): string {
  const shown = ['xlogo', ...Object.keys(terminals)].join(' ');
  return [
    `xsetroot -solid '${colour}'`,
    // In another language it asks for sets of fonts that nobody has.
    'LC_ALL=C twm &',
    `xlogo -geometry ${logo} &`,
    ...Object.entries(terminals).map(([title, rest]) => `xterm -T ${title} ${rest} &`),
    `for title in ${shown}; do until xwininfo -name $title 2>/dev/null | grep -q IsViewable; do sleep 0.05; done; done`,
  ].join('\n');
}
