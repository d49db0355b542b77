package resources

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// databases are two real ones, made once: a small one, and one that stands for the large.
var databases = sync.OnceValues(func() ([2][]byte, error) {
	var out [2][]byte
	dir, err := os.MkdirTemp("", "maia-databases")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(dir)
	for i, rows := range []int{50, 4000} {
		path := filepath.Join(dir, fmt.Sprintf("%d.db", i))
		sql := fmt.Sprintf(`PRAGMA journal_mode=WAL; CREATE TABLE ticket(id INTEGER PRIMARY KEY, text TEXT);
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d)
			INSERT INTO ticket SELECT i, printf('ticket %%d %%s', i, hex(zeroblob(30 + i %% 7))) FROM n;
			PRAGMA wal_checkpoint(TRUNCATE);`, rows)
		if text, err := exec.Command("sqlite3", path, sql).CombinedOutput(); err != nil {
			return out, fmt.Errorf("sqlite3: %v: %s", err, text)
		}
		if out[i], err = os.ReadFile(path); err != nil {
			return out, err
		}
	}
	return out, nil
})

// hostileNames would do harm if they were ever taken for code, an option, a pattern, or two names.
var hostileNames = []string{
	"plain.py", "two words", " leading", "trailing ", "$(touch pwned)", "`touch pwned`", "; touch pwned", "a && touch pwned #",
	"-rf", "--help", "-", "*", "?", "[a-z]", "{a,b}", "~", "!important", "'single'", `"double"`, `back\slash`, `\0101`, `\n`,
	"new\nline", "\nfirst", "last\n", "SHA256(x)= " + strings.Repeat("0", 64), "tab\there", "return\r", "\x01\x02", "del\x7f", "esc\x1b[31m",
	"café", "cafe\u0301", "日本語", "Привет мир", "🎫 tickets", "invalid\xff\xfe", "._a", "._b", "._café", ".hidden", "...", "%s%n", "a=b",
	"CASE", "case", strings.Repeat("x", 255), strings.Repeat("ü", 127), "x.db-wal", "Icon\r", "\u202eoverride", "+x", "@file", "a:b", "#hash",
}

// fixture is a small Maia with everything that can go wrong in a name, a mode or a time.
func fixture(t testing.TB) []item {
	t.Helper()
	dbs, err := databases()
	if err != nil {
		t.Fatal(err)
	}
	when := time.Date(2025, 10, 12, 17, 4, 5, 123456789, time.UTC)
	n := 0
	stamp := func() time.Time {
		n++
		return when.Add(time.Duration(n) * 61 * time.Second).Add(time.Duration(n) * 987654)
	}
	var items []item
	add := func(component string, kind byte, path string, mode int64, body string) {
		items = append(items, item{component: component, kind: kind, path: path, mode: mode, mtime: stamp(), body: []byte(body)})
	}
	code := func(kind byte, path string, mode int64, body string) { add("maia_code", kind, path, mode, body) }
	code('f', "CLAUDE.md", 0o644, "# Maia\n")
	code('d', "claude", 0o755, "")
	code('d', "claude/data", 0o755, "")
	code('d', "claude/data/databases", 0o700, "")
	code('d', "claude/data/empty folder", 0o750, "")
	code('d', "claude/tools", 0o755, "")
	code('f', "claude/tools/run.sh", 0o755, "#!/bin/sh\nexit 0\n")
	code('f', "claude/tools/readonly", 0o444, "look")
	code('f', "claude/tools/shared", 0o4711, "setuid")
	code('f', "claude/tools/locked", 0o400, "only mine")
	code('f', "claude/tools/empty", 0o600, "")
	code('f', "claude/tools/long.txt", 0o644, strings.Repeat("a line of a longer file\n", 3000))
	code('d', "locked", 0o555, "")
	code('f', "locked/inside", 0o640, "in a folder that is not writable")
	code('d', "locked/deeper", 0o1777, "")
	code('d', "claude/tools/group", 0o3775, "")
	code('f', "claude/tools/both", 0o6754, "setuid and setgid")
	code('d', "names", 0o755, "")
	for _, name := range hostileNames {
		code('f', "names/"+name, 0o644, "content of "+name)
		code('f', name, 0o600, "at the top: "+name)
	}
	for _, name := range []string{"-dir", "new\nline dir", "$(dir)", "sp ace", "d*", "a-b", "a"} {
		code('d', "dirs/"+name, 0o711, "")
		code('f', "dirs/"+name+"/file", 0o604, name)
	}
	items = append(items, item{component: "maia_code", kind: 'd', path: "dirs", mode: 0o755, mtime: stamp()})
	deep := "deep" + strings.Repeat("/"+strings.Repeat("d", 40), 20)
	for at := 0; at <= len(deep); at++ {
		if at == len(deep) || deep[at] == '/' {
			code('d', deep[:at], 0o755, "")
		}
	}
	code('f', deep+"/bottom", 0o644, "far down")
	for i, target := range []string{"CLAUDE.md", "claude/tools", "/etc/passwd", "../outside", "nowhere", "-", "-n", "new\nline\n", "日本", `\0101`, "a b"} {
		items = append(items, item{component: "maia_code", kind: 'l', path: fmt.Sprintf("links%d", i), mode: 0o777, mtime: stamp(), link: target})
	}
	code('f', "old", 0o644, "before 1970")
	items[len(items)-1].mtime = time.Unix(-86400*365, 500_000_000)
	code('d', "ancient", 0o755, "")
	items[len(items)-1].mtime = time.Unix(-86400*400, 250_000_000)
	code('f', "future", 0o644, "after 2038")
	items[len(items)-1].mtime = time.Unix(1<<32+7, 1)

	add("maia_data_small", 'f', "claude/data/catalog.json", 0o644, "{}")
	add("maia_data_small", 'f', "claude/data/new\nline.json", 0o600, "[]")
	add("maia_data_small", 'q', "claude/data/databases/small one.db", 0o644, string(dbs[0]))
	for _, name := range []string{"tickets.db", "strange % ? # name\n.db", "-.db"} {
		items = append(items, item{
			component: "maia_data_large", kind: 'b', path: "claude/data/" + name, mode: 0o640, mtime: stamp().Truncate(time.Second),
			body: bytes.Clone(dbs[1]),
		})
	}
	add("launchagents", 'f', "com.maia.sync.plist", 0o644, "<plist/>")
	add("launchagents", 'f', "com.maia.with space.plist", 0o644, "<plist/>\n")
	add("shell_configs", 'f', ".zshrc", 0o644, "export A=b\n")
	add("shell_configs", 'f', ".config/skhd/skhdrc", 0o600, "cmd - x : y\n")
	add("dependencies", 'f', "requirements_freeze.txt", 0o644, "a==1\n")
	add("dependencies", 'f', "Brewfile", 0o644, "brew \"jq\"\n")
	add("system_metadata", 'f', "system_metadata.json", 0o644, "{}\n")
	return items
}

// small is a Maia for tests that run the script often.
func small(t testing.TB) []item {
	t.Helper()
	dbs, err := databases()
	if err != nil {
		t.Fatal(err)
	}
	when := time.Date(2025, 10, 1, 8, 0, 0, 7_000_001, time.UTC)
	var items []item
	for i, it := range []item{
		{component: "maia_code", kind: 'd', path: "claude", mode: 0o755},
		{component: "maia_code", kind: 'd', path: "claude/data", mode: 0o755},
		{component: "maia_code", kind: 'd', path: "tools", mode: 0o750},
		{component: "maia_code", kind: 'f', path: "CLAUDE.md", mode: 0o644, body: []byte("# Maia\n")},
		{component: "maia_code", kind: 'f', path: "tools/run.sh", mode: 0o755, body: []byte("#!/bin/sh\n")},
		{component: "maia_code", kind: 'f', path: "tools/long", mode: 0o644, body: bytes.Repeat([]byte("0123456789abcde\n"), 4000)},
		{component: "maia_code", kind: 'f', path: "tools/two\nlines", mode: 0o600, body: []byte("x")},
		{component: "maia_code", kind: 'l', path: "link", mode: 0o777, link: "tools/run.sh"},
		{component: "maia_data_small", kind: 'f', path: "claude/data/state.json", mode: 0o644, body: []byte("{}")},
		{component: "maia_data_small", kind: 'q', path: "claude/data/small.db", mode: 0o644, body: dbs[0]},
		{component: "maia_data_large", kind: 'b', path: "claude/data/tickets.db", mode: 0o640, body: dbs[1]},
		{component: "launchagents", kind: 'f', path: "com.maia.sync.plist", mode: 0o644, body: []byte("<plist/>")},
		{component: "shell_configs", kind: 'f', path: ".zshrc", mode: 0o600, body: []byte("export A=b\n")},
		{component: "dependencies", kind: 'f', path: "Brewfile", mode: 0o644, body: []byte("brew \"jq\"\n")},
		{component: "system_metadata", kind: 'f', path: "system_metadata.json", mode: 0o644, body: []byte("{}\n")},
	} {
		it.mtime = when.Add(time.Duration(i) * time.Hour)
		if it.kind == 'b' {
			it.mtime = it.mtime.Truncate(time.Second)
		}
		items = append(items, it)
	}
	return items
}

// smallRepository is a repository with one backup of small, in a few chunks.
func smallRepository(t testing.TB, edit func(*builder)) *builder {
	t.Helper()
	b := newBuilder(filepath.Join(t.TempDir(), "MaiaBackups"), small(t))
	b.chunkBytes, b.extent = 130_000, 9_000
	if edit != nil {
		edit(b)
	}
	return b.write(t)
}
