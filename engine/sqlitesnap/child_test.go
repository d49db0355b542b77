package sqlitesnap

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The programs that use a database while it is captured are other processes, as in life: locks of one process never
// exclude each other. They are this test binary, run again.
const childVariable = "SQLITESNAP_TEST_CHILD"

// orders is what a child is to do.
type orders struct {
	Path string
	// SQL is run on one connection, which then stays open until the parent is done.
	SQL []string
	// Transfers makes transactions in a loop instead, with a new connection for each if Reopen is set.
	Transfers bool
	Reopen    bool
	Pragmas   []string
	Pause     time.Duration
}

// account of a child that makes transfers.
type account struct {
	Transactions int
	Worst        time.Duration // of one transaction, waiting for locks included
	Failures     []string
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		var o orders
		err := json.Unmarshal([]byte(text), &o)
		if err == nil {
			err = o.run()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func (o orders) run() error {
	stopped := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(stopped)
	}()
	ctx := context.Background()
	if o.Transfers {
		acc := o.transfer(ctx, stopped)
		return json.NewEncoder(os.Stdout).Encode(acc)
	}
	db, err := o.open(ctx)
	if err != nil {
		return err
	}
	for _, s := range o.SQL {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	fmt.Println("ready")
	<-stopped
	return db.Close()
}

func (o orders) open(ctx context.Context) (*sql.DB, error) {
	db, err := sql.Open("sqlite", fileURI(o.Path)+"?mode=rw&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	for _, p := range o.Pragmas {
		if _, err := db.ExecContext(ctx, "PRAGMA "+p); err != nil {
			return nil, fmt.Errorf("pragma %s: %w", p, err)
		}
	}
	return db, nil
}

func (o orders) transfer(ctx context.Context, stopped chan struct{}) (acc account) {
	r := rand.New(rand.NewPCG(1, 2))
	var db *sql.DB
	fail := func(err error) { acc.Failures = append(acc.Failures, err.Error()) }
	for first := true; ; first = false {
		select {
		case <-stopped:
			if db != nil {
				if err := db.Close(); err != nil {
					fail(err)
				}
			}
			return acc
		case <-time.After(o.Pause):
		}
		start := time.Now()
		if db == nil {
			var err error
			if db, err = o.open(ctx); err != nil {
				fail(err)
				return acc
			}
		}
		if err := transfer(ctx, db, r); err != nil {
			fail(err)
		}
		if o.Reopen {
			if err := db.Close(); err != nil {
				fail(err)
			}
			db = nil
		}
		acc.Transactions++
		acc.Worst = max(acc.Worst, time.Since(start))
		if first {
			fmt.Println("ready")
		}
	}
}

// transfer keeps two laws: the sum of all balances is constant, and the counter equals the rows of the ledger. It
// touches pages all over the file.
func transfer(ctx context.Context, db *sql.DB, r *rand.Rand) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for range 4 {
		from, to, n := r.IntN(accounts), r.IntN(accounts), r.IntN(100)
		if _, err := conn.ExecContext(ctx, "UPDATE account SET balance = balance - ? WHERE id = ?", n, from); err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, "UPDATE account SET balance = balance + ? WHERE id = ?", n, to); err != nil {
			return err
		}
	}
	const more = "INSERT INTO ledger(key, note) VALUES (hex(randomblob(8)), randomblob(?)); UPDATE counter SET n = n + 1"
	const less = "DELETE FROM ledger WHERE rowid = (SELECT min(rowid) FROM ledger); UPDATE counter SET n = (SELECT count(*) FROM ledger)"
	query, args := more, []any{r.IntN(3000)}
	if r.IntN(3) == 0 {
		query, args = less, nil
	}
	if _, err := conn.ExecContext(ctx, query, args...); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

const (
	accounts = 300
	balance  = 1000
)

var banks sync.Map // pragmas to bytes

// makeBank makes a database for transfers: about 1.5 MB.
func makeBank(t testing.TB, path string, pragmas ...string) {
	t.Helper()
	key := fmt.Sprint(pragmas)
	b, ok := banks.Load(key)
	if !ok {
		first := filepath.Join(t.TempDir(), "bank.db")
		var statements []string
		for _, p := range pragmas {
			statements = append(statements, "PRAGMA "+p)
		}
		create(t, first, append(statements,
			"CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, filler BLOB)",
			"CREATE TABLE ledger(id INTEGER PRIMARY KEY, key TEXT, note BLOB)",
			"CREATE INDEX ledger_key ON ledger(key)",
			"CREATE TABLE counter(n INTEGER)",
			fmt.Sprintf("INSERT INTO account SELECT value, %d, randomblob(3000) FROM generate_series(0, %d)", balance, accounts-1),
			"INSERT INTO ledger SELECT value, hex(randomblob(8)), randomblob(300) FROM generate_series(1, 1000)",
			"INSERT INTO counter VALUES (1000)",
		)...)
		content, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		b, _ = banks.LoadOrStore(key, content)
	}
	if err := os.WriteFile(path, b.([]byte), 0o600); err != nil {
		t.Fatal(err)
	}
}

// create makes a database at rest.
func create(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", fileURI(path)+"?_pragma=synchronous(off)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		s = series(s)
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// series replaces generate_series(A, B), which this build does not have, by a recursive query.
func series(s string) string {
	before, rest, found := strings.Cut(s, "generate_series(")
	if !found {
		return s
	}
	bounds, after, _ := strings.Cut(rest, ")")
	from, to, _ := strings.Cut(bounds, ", ")
	return fmt.Sprintf("%s(WITH RECURSIVE s(value) AS (SELECT %s UNION ALL SELECT value + 1 FROM s WHERE value < %s) SELECT value FROM s)%s",
		before, from, to, after)
}

// child is a running child.
type child struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	once   sync.Once
}

// start starts a child and waits until it has done its first work.
func start(t testing.TB, o orders) *child {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(self)}
	// The race detector would let every child sleep for a second before it ends.
	c.cmd.Env = append(os.Environ(), childVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdout = bufio.NewReader(stdout)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	if line, err := c.stdout.ReadString('\n'); line != "ready\n" {
		t.Fatalf("child said %q: %v", line, err)
	}
	return c
}

// stop lets the child close its database and end.
func (c *child) stop() account {
	c.t.Helper()
	var acc account
	c.once.Do(func() {
		c.stdin.Close()
		rest, err := io.ReadAll(c.stdout)
		if err == nil {
			err = c.cmd.Wait()
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if len(rest) > 0 {
			if err := json.Unmarshal(rest, &acc); err != nil {
				c.t.Fatal(err)
			}
		}
	})
	return acc
}

// kill ends the child as a crash does.
func (c *child) kill() {
	c.once.Do(func() {
		c.cmd.Process.Kill()
		c.cmd.Wait()
		c.stdin.Close()
	})
}
