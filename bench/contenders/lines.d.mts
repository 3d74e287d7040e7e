export function answer(turn: () => unknown, said?: object): Promise<never>;
