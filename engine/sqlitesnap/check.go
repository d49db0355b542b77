package sqlitesnap

import (
	"context"
	"fmt"
	"strings"
)

// Names of the checks, as in Facts.Check.
const (
	checkNone    = "none"
	checkQuick   = "quick_check"
	checkFull    = "integrity_check"
	partial      = "_partial"
	maxProblems  = 8
	maxResultLen = 1000
)

// check fills in the facts that it finds out. Only what says nothing about the database is an error: ctx's, or a disk's
// that cannot be read.
func (d *database) check(ctx context.Context, depth Depth, f *Facts) error {
	f.Check = checkQuick
	if depth >= Integrity {
		f.Check = checkFull
	}
	problems, complete, err := d.integrity(ctx, f.Check)
	if err != nil {
		return err
	}
	f.CheckResult = result(problems)
	if depth == Full {
		counted, err := d.countRows(ctx, f)
		if err != nil {
			return err
		}
		complete = complete && counted
	}
	if !complete {
		f.Check += partial
	}
	return nil
}

// integrity runs the check over the whole file and, if SQLite cannot do that because it lacks what a table needs, over
// each table that it can check. complete is false then: the list of free pages was not looked at either.
func (d *database) integrity(ctx context.Context, pragma string) (problems []string, complete bool, err error) {
	problems, err = d.strings(ctx, fmt.Sprintf("PRAGMA %s(%d)", pragma, maxProblems))
	switch resultCode(err) & 0xff {
	case 0:
		return problems, true, err
	case codeError:
	default:
		return damage(problems, err), true, unlessDamaged(err)
	}
	tables, err := d.tables(ctx, "type = 'table'")
	if err != nil {
		return damage(nil, err), false, unlessDamaged(err)
	}
	for _, name := range tables {
		found, err := d.strings(ctx, fmt.Sprintf("PRAGMA %s(%s)", pragma, quote(name, '\'')))
		if resultCode(err)&0xff == codeError {
			continue
		}
		problems = append(problems, damage(found, err)...)
		if err := unlessDamaged(err); err != nil {
			return nil, false, err
		}
	}
	return problems, false, nil
}

// countRows counts the rows of every table, and those that refer to nothing.
func (d *database) countRows(ctx context.Context, f *Facts) (complete bool, err error) {
	// What is virtual has no root page; its rows are kept in tables that are counted, or elsewhere.
	tables, err := d.tables(ctx, "type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
	if err != nil {
		return false, unlessDamaged(err)
	}
	complete = true
	f.Tables = make(map[string]int64, len(tables))
	for _, name := range tables {
		var rows, dangling int64
		err := d.conn.QueryRowContext(ctx, "SELECT count(*) FROM main."+quote(name, '"')).Scan(&rows)
		if err == nil {
			f.Tables[name] = rows
			err = d.conn.QueryRowContext(ctx, "SELECT count(*) FROM pragma_foreign_key_check(?)", name).Scan(&dangling)
		}
		f.ForeignKeyProblems += dangling
		switch {
		case err == nil:
		case resultCode(err)&0xff == codeError:
			complete = false
		default:
			if err := unlessDamaged(err); err != nil {
				return false, err
			}
		}
	}
	return complete, nil
}

// tables returns the names of the entries of the schema that fulfil a condition.
func (d *database) tables(ctx context.Context, where string) ([]string, error) {
	return d.strings(ctx, "SELECT name FROM main.sqlite_schema WHERE "+where+" ORDER BY name")
}

// strings returns the first column of a query. With an error come the rows before it.
func (d *database) strings(ctx context.Context, query string) (out []string, err error) {
	rows, err := d.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// damage adds to the problems one that SQLite reported as an error.
func damage(problems []string, err error) []string {
	if code := resultCode(err) & 0xff; code == codeCorrupt || code == codeNotADB {
		problems = append(problems, err.Error())
	}
	return problems
}

// unlessDamaged returns err unless it says that the database is damaged, which is a result.
func unlessDamaged(err error) error {
	if len(damage(nil, err)) > 0 {
		return nil
	}
	return err
}

// result makes one line of what a check reported.
func result(problems []string) string {
	var lines []string
	for _, p := range problems {
		for line := range strings.Lines(p) {
			if line = strings.TrimSpace(line); line != "" && line != "ok" && len(lines) < maxProblems {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		return "ok"
	}
	text := strings.Join(lines, "; ")
	if len(text) > maxResultLen {
		text = strings.ToValidUTF8(text[:maxResultLen], "") + "…"
	}
	return text
}

// quote makes a literal or an identifier.
func quote(s string, with rune) string {
	q := string(with)
	return q + strings.ReplaceAll(s, q, q+q) + q
}
