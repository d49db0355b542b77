package engine_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver

	"maia-dr/engine/fixture"
)

// write keeps changing a database until standard input ends.
func (o orders) write(ctx context.Context) (steps int, err error) {
	stopped := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin) // however it ends, it has ended
		close(stopped)
	}()
	step, end, err := o.writer(ctx)
	if err != nil {
		return 0, err
	}
	for {
		if err := step(); err != nil {
			return steps, errors.Join(err, end())
		}
		if steps++; steps == 1 {
			fmt.Println("ready")
		}
		// Not quite without a pause: the ticket database grows with each step.
		select {
		case <-stopped:
			return steps, end()
		case <-time.After(6 * time.Millisecond):
		}
	}
}

func (o orders) writer(ctx context.Context) (step, end func() error, err error) {
	if o.Verb == "tickets" {
		w, err := (&fixture.Fixture{Root: o.Mac.Root}).OpenWriter(ctx)
		if err != nil {
			return nil, nil, err
		}
		return func() error { return w.Step(ctx) }, w.Close, nil
	}
	db, err := openBank(o.Path, "")
	if err != nil {
		return nil, nil, err
	}
	r := rand.New(rand.NewPCG(1, 2))
	return func() error { return transfer(ctx, db, r) }, db.Close, nil
}

const (
	accounts = 300
	balance  = 1000
)

func openBank(path, query string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(10000)&_txlock=immediate"+query)
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// makeBank makes a database in rollback mode that keeps two laws: the sum of all balances is constant, and the
// counter equals the rows of the ledger.
func makeBank(t testing.TB, path string) {
	t.Helper()
	db, err := openBank(path, "&_pragma=synchronous(off)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range []string{
		"PRAGMA journal_mode = DELETE",
		"CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, filler BLOB)",
		"CREATE TABLE ledger(id INTEGER PRIMARY KEY, note BLOB)",
		"CREATE TABLE counter(n INTEGER)",
		fmt.Sprintf("WITH RECURSIVE s(v) AS (SELECT 0 UNION ALL SELECT v + 1 FROM s WHERE v < %d) INSERT INTO account SELECT v, %d, randomblob(1500) FROM s", accounts-1, balance),
		"INSERT INTO counter VALUES (0)",
	} {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// transfer is one transaction on pages all over the bank.
func transfer(ctx context.Context, db *sql.DB, r *rand.Rand) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after a commit it does nothing
	for range 4 {
		n := r.IntN(100)
		if _, err := tx.Exec("UPDATE account SET balance = balance - ? WHERE id = ?", n, r.IntN(accounts)); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE account SET balance = balance + ? WHERE id = ?", n, r.IntN(accounts)); err != nil {
			return err
		}
	}
	change, args := "INSERT INTO ledger(note) VALUES (randomblob(?)); UPDATE counter SET n = n + 1", []any{r.IntN(3000)}
	if r.IntN(3) == 0 {
		change, args = "DELETE FROM ledger WHERE id <= (SELECT min(id) + 2 FROM ledger); UPDATE counter SET n = (SELECT count(*) FROM ledger)", nil
	}
	if _, err := tx.Exec(change, args...); err != nil {
		return err
	}
	return tx.Commit()
}

// checkBank tells what is wrong with a copy of the bank.
func checkBank(path string) error {
	db, err := openBank(path, "&immutable=1&mode=ro")
	if err != nil {
		return err
	}
	defer db.Close()
	var verdict string
	var sum, counted, rows int64
	const query = "SELECT (SELECT integrity_check FROM pragma_integrity_check LIMIT 1), (SELECT sum(balance) FROM account), (SELECT n FROM counter), (SELECT count(*) FROM ledger)"
	if err := db.QueryRow(query).Scan(&verdict, &sum, &counted, &rows); err != nil {
		return err
	}
	if verdict != "ok" || sum != accounts*balance || counted != rows {
		return fmt.Errorf("integrity %q, balances sum to %d, the counter says %d, the ledger has %d", verdict, sum, counted, rows)
	}
	return nil
}

// ready waits until a writer has done its first work.
func (c *child) ready(t testing.TB) {
	t.Helper()
	in := bufio.NewReader(c.stdout)
	if line, err := in.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the writer said %q, %v: %s", line, err, c.stderr.String())
	}
	c.stdout = io.NopCloser(in)
}
