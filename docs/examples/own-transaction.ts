/** The offset in a transaction of your own: a transfer, and how far the transfers are done, or neither. */
import Database from 'libsql';
import { Offset } from 'streamweave-offset';
import { SqliteOffsetStore } from 'streamweave-offset/sqlite';

const transfers = [
  { id: 1, from: 'ann', to: 'bob', amount: 30 },
  { id: 2, from: 'bob', to: 'cleo', amount: 10 },
  { id: 3, from: 'cleo', to: 'nobody', amount: 5 },
];

const database = new Database(':memory:');
database.exec('CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER)');
database.exec(`INSERT INTO accounts VALUES ('ann', 100), ('bob', 100), ('cleo', 100)`);
const store = new SqliteOffsetStore(database);

// #region transaction
// Whoever works on the source claims it first: an older worker's commit, and its transaction, then fail.
const epoch = await store.claim('transfers');

async function book({ id, from, to, amount }: (typeof transfers)[number]): Promise<void> {
  await store.transaction(async (tx) => {
    const add = tx.prepare('UPDATE accounts SET balance = balance + ? WHERE name = ?');
    add.run(-amount, from);
    if (add.run(amount, to).changes === 0) throw new Error(`there is no account ${to}`);
    await store.using(tx).commit('transfers', Offset.sequence(id), { epoch });
  });
}
// #endregion

for (const transfer of transfers) {
  await book(transfer).catch((error: Error) => console.log(`transfer ${transfer.id}: ${error.message}`));
}
for (const { name, balance } of database.prepare('SELECT * FROM accounts').all() as {
  name: string;
  balance: number;
}[]) {
  console.log(name, balance);
}
console.log('done up to', Offset.format((await store.get('transfers'))!));
await store.close();
database.close();

/* Prints:
transfer 3: there is no account nobody
ann 70
bob 120
cleo 110
done up to seq:2
*/
