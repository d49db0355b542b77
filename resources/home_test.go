package resources

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"howett.net/plist"

	mac "maia-dr/engine/fixture"
)

// split parts items into those of the target and those that a proven backup brings into the home.
func split(items []item) (target, home []item) {
	for _, it := range items {
		rest, personal := strings.CutPrefix(it.destination(), "maia-recovered/home/")
		if !personal {
			target = append(target, it)
			continue
		}
		it.component, it.path = "maia_code", rest
		home = append(home, it)
	}
	return target, home
}

// checkBoth compares target and home with what a proven backup brings.
func (m *machine) checkBoth(to string, items []item, strangers ...string) {
	m.t.Helper()
	target, home := split(items)
	if _, err := os.Lstat(filepath.Join(to, "maia-recovered/report.txt")); err == nil {
		strangers = append(slices.Clone(strangers), "maia-recovered/report.txt")
	}
	checkTree(m.t, to, target, strangers...)
	above := []string{"Library", "Library/LaunchAgents"}
	if _, err := os.Lstat(filepath.Join(m.home, "password")); err == nil {
		above = append(above, "password")
	}
	checkTree(m.t, m.home, home, above...)
}

// wholeNames are those of wholeNames that are named in the home.
func (m *machine) wholeNames() (out []string) {
	for _, name := range wholeNames {
		out = append(out, strings.ReplaceAll(name, "maia-recovered/home", m.home))
	}
	return out
}

// homeRepository has nothing but personal files, and a vault.
func homeRepository(t testing.TB, agents, shell map[string]string, edit func(*builder)) *builder {
	t.Helper()
	var items []item
	when := time.Date(2025, 9, 1, 2, 3, 4, 5_000_000, time.UTC)
	add := func(component string, files map[string]string) {
		for name, body := range files {
			items = append(items, item{component: component, kind: 'f', path: name, mode: 0o644, mtime: when, body: []byte(body)})
		}
	}
	add("launchagents", agents)
	add("shell_configs", shell)
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.component+"/"+a.path, b.component+"/"+b.path) })
	items = append(items, item{component: "maia_code", kind: 'f', path: "CLAUDE.md", mode: 0o644, mtime: when, body: []byte("/Users/naythan stays here\n")})
	b := newBuilder(filepath.Join(t.TempDir(), "MaiaBackups"), items)
	b.root, b.home, b.prefix = "/Users/naythan/git/maia", "/Users/naythan", "/usr/local"
	b.vault = &vault{password: "correct horse", iterations: 600_000}
	if edit != nil {
		edit(b)
	}
	return b.write(t)
}

const plistHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`

// TestRelocation: strings of agents and lines of shell files get the new machine's paths, nothing else; every change is shown
// before anything is written, of secrets no more than the paths.
func TestRelocation(t *testing.T) {
	t.Parallel()
	const agent = plistHead + "<dict >\r\n<!-- <string>/Users/naythan</string> --><key>Label</key><string>com.maia.a</string><key>/Users/naythan</key><string\n>\n/Users/naythan/git/maia/x\t</string >\n" +
		"<key>a</key><array><string/><string></string><string>&quot;/Users/naythan&quot; &amp; &#38;</string><data>L1VzZXJz</data></array>\n<string>/usr/local/bin:/Users/naythan2</string>" +
		"<string>mail naythan@x</string></dict></plist>"
	const shell = "export MAIA_ROOT=/Users/naythan/git/maia # x\n\n/Users/naythan2 ./Users/naythan /Users/naythané é/Users/naythan\n" +
		"PATH=/usr/local/bin:/usr/local/share:/usr/local/sbin \\0 \\n %s & /mnt/old/x\r\n/Users/naythan/Users/naythan\xff naythan"
	b := homeRepository(t, map[string]string{
		"com.maia.a.plist": agent, "com.maia.cdata.plist": plistHead + "<dict><key>a</key><string><![CDATA[/Users/naythan]]></string></dict></plist>\n",
		"com.maia.text.plist": "/Users/naythan", "com.maia.same.plist": plistHead + "<dict/></plist>", "com.maia.binary.plist": "bplist00/Users/naythan\x00",
	}, map[string]string{".zshrc": shell, ".profile": "nothing\n", ".empty": "", ".nul": "\x00/Users/naythan\n", ".config/x": "/Users/naythan"}, func(b *builder) {
		b.vault.files = []item{
			{component: "shell_configs", kind: 'f', path: ".config/key ü [x]*", mode: 0o600, mtime: time.Unix(1_700_000_000, 0), body: []byte("export KEY=" + secretValue + " /Users/naythan/x\n")},
			{component: "launchagents", kind: 'f', path: "com.maia.key.plist", mode: 0o644, mtime: time.Unix(1_700_000_000, 0), body: []byte(plistHead + "<dict><string>" + secretValue + " /Users/naythan/git/maia</string></dict></plist>\n")},
		}
		b.editIndex = func(lines []string) []string {
			return slices.Insert(lines, 8, "oldroot /Volumes/away/maia", "oldroot /elsewhere/place", "oldroot /Users/naythan/other")
		}
	})
	script := filepath.Join(b.dir, "restore_maia.sh")
	for _, awk := range []string{"mawk", "original-awk", "busybox"} {
		t.Run(awk, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, "bsdtar", "perl")
			m.tool("awk", awk)
			m.wrap("uname", "echo arm64")
			if awk == "mawk" {
				m.wrap("tar", "exec "+mustFind(t, "tar")+` "$@"`)
			}
			to := filepath.Join(m.home, "R&D <maia>")
			write(t, filepath.Join(m.home, ".profile"), []byte("mine\n"))
			args := []string{"--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse"), "--map", "/mnt/old/=/mnt/new//"}
			dry := m.run(script, append(args, "--dry-run")...)
			dry.want(t, 0, "- 1 export MAIA_ROOT=/Users/naythan/git/maia # x", "+ 1 export MAIA_ROOT="+to+" # x", "/elsewhere/place", "5 it still names naythan: ",
				"- 1 /Users/naythan\n", "+ 1 "+m.home+"\n", "com.maia.cdata.plist", "com.maia.text.plist", "com.maia.binary.plist", "a key, which is not changed", "naythan@x")
			if strings.Contains(dry.text, secretValue) || strings.Contains(dry.text, "\n    /Volumes") {
				t.Errorf("it says too much:\n%s", dry.text)
			}
			m.run(script, args...).want(t, 0)
			escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(to)
			xml := strings.NewReplacer("\n/Users/naythan/git/maia/x\t", "\n"+escaped+"/x\t", "&quot;/Users/naythan&quot;", "&quot;"+m.home+"&quot;", "<string>/usr/local/bin:", "<string>/opt/homebrew/bin:")
			text := strings.NewReplacer("ROOT=/Users/naythan/git/maia", "ROOT="+to, "é/Users/naythan", "é"+m.home, "=/usr/local/bin", "=/opt/homebrew/bin", "/usr/local/sbin", "/opt/homebrew/sbin",
				"/mnt/old", "/mnt/new", "\n/Users/naythan/Users/naythan\xff", "\n"+m.home+"/Users/naythan\xff", "/Users/naythan/x", m.home+"/x")
			want := b.whole()
			for i, it := range want {
				switch {
				case it.path == "com.maia.key.plist":
					want[i].body = bytes.Replace(it.body, []byte("/Users/naythan/git/maia"), []byte(escaped), 1)
				case it.path == "com.maia.a.plist":
					want[i].body = []byte(xml.Replace(string(it.body)))
				case it.path == ".config/x":
					want[i].body = []byte(m.home)
				case it.component == "shell_configs" && it.path != ".nul":
					want[i].body = []byte(text.Replace(string(it.body)))
				}
			}
			rest, home := split(want)
			checkTree(t, to, rest, "maia-recovered/report.txt")
			strangers := []string{"Library", "Library/LaunchAgents", "password", ".config", "R&D <maia>", "R&D <maia>/CLAUDE.md", "R&D <maia>/maia-recovered", "R&D <maia>/maia-recovered/report.txt"}
			before := glob(t, to+".before-restore-*/home/.profile")
			if len(before) != 1 {
				t.Fatalf("what was in the way: %v", before)
			}
			for dir := before[0]; dir != m.home; dir = filepath.Dir(dir) {
				strangers = append(strangers, strings.TrimPrefix(dir, m.home+"/"))
			}
			checkTree(t, m.home, home, strangers...)
			m.run(script, args...).want(t, 0, "There is nothing to do.")
		})
	}
}

func mustFind(t testing.TB, tool string) string {
	t.Helper()
	m := newMachine(t, "tar")
	path, err := os.Readlink(filepath.Join(m.bin, tool))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAgentsGolden: the sample's agents become what maia-dr makes of them; its golden file is compared with to the byte, where
// a list was text.
func TestAgentsGolden(t *testing.T) {
	t.Parallel()
	fix, err := mac.Make(t.Context(), mac.Options{Base: filepath.Join(t.TempDir(), "mac"), Seed: 3, OldHome: "/Users/naythan"})
	if err != nil {
		t.Fatal(err)
	}
	agents := map[string]string{}
	for _, name := range fix.Agents {
		body, err := os.ReadFile(filepath.Join(fix.Home, "Library/LaunchAgents", name))
		if err != nil {
			t.Fatal(err)
		}
		agents[name] = string(body)
	}
	b := homeRepository(t, agents, nil, nil)
	m := newMachine(t, "bsdtar", "perl")
	m.wrap("uname", "echo arm64")
	m.wrapPlutil()
	to := filepath.Join(m.home, "Work & Play/maia")
	m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse")).want(t, 0)
	golden, err := os.ReadFile("../engine/relocate/testdata/agents.golden")
	if err != nil {
		t.Fatal(err)
	}
	lists := strings.Split("\n"+string(golden), "\n-- ")[1:]
	if len(lists) != 19 || len(agents) != 19 {
		t.Fatalf("%d golden lists, %d agents", len(lists), len(agents))
	}
	exact := 0
	for _, part := range lists {
		// The golden file has no mark of a line feed at the end.
		name, want, _ := strings.Cut(part, " --\n")
		body, err := os.ReadFile(filepath.Join(m.home, "Library/LaunchAgents", name))
		if err != nil {
			t.Error(err)
			continue
		}
		got := strings.ReplaceAll(string(body), m.home, "/Users/kim")
		for _, p := range fix.Secrets {
			if p.Secret && len(p.Value) >= 8 {
				got = strings.NewReplacer(p.Value, "PLANTED", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(p.Value), "PLANTED").Replace(got)
			}
		}
		if !strings.HasPrefix(agents[name], "bplist") {
			exact++
			if strings.TrimSuffix(got, "\n") != strings.TrimSuffix(want, "\n") {
				t.Errorf("%s became\n%s\nwant\n%s", name, got, want)
			}
			continue
		}
		var x, y any
		if _, err := plist.Unmarshal([]byte(got), &x); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := plist.Unmarshal([]byte(want), &y); err != nil || !reflect.DeepEqual(x, y) {
			t.Errorf("%s: %v\n%v\nwant\n%v", name, err, x, y)
		}
	}
	if exact < 10 {
		t.Errorf("only %d lists were text", exact)
	}
}

// wrapPlutil gives the machine a plutil that converts, by plistutil, and knows a list when it sees one.
func (m *machine) wrapPlutil() {
	m.t.Helper()
	m.tool("plutil", "plistutil")
	m.wrap("plutil", `for f; do :; done
in=$f tmp='`+filepath.Dir(m.bin)+`'/plutil.$$
if [ "$f" = - ]; then cat > "$tmp.in"; in=$tmp.in; fi
# Only what comes from a binary list is written anew.
REAL -i "$in" -f bin -o "$tmp.b" > /dev/null 2>&1
REAL -i "$tmp.b" -f xml -o "$tmp" > /dev/null 2>&1
[ -s "$tmp" ]; code=$?
if [ "$1" = -convert ] && [ "$code" = 0 ]; then cat "$tmp"; fi
rm -f "$tmp" "$tmp.b" "$tmp.in"
exit "$code"`)
}

// TestNewHome: a home that is not there yet is made, as the Maia root is, and not by a dry run.
func TestNewHome(t *testing.T) {
	t.Parallel()
	b := homeRepository(t, nil, map[string]string{".zshrc": "export HOME_WAS=/Users/naythan\n"}, nil)
	m := newMachine(t, "tar", "perl")
	home, to := filepath.Join(m.home, "new/homes/kim"), filepath.Join(m.home, "maia")
	args := []string{"--to", to, "--target-home", "new/homes/kim/", "--yes", "--vault-password-file", m.passwordFile("correct horse")}
	script := filepath.Join(b.dir, "restore_maia.sh")
	m.run(script, append(args, "--dry-run")...).want(t, 0, "go into "+home+"\n")
	if _, err := os.Lstat(filepath.Join(m.home, "new")); err == nil {
		t.Error("a dry run made the home")
	}
	m.run(script, args...).want(t, 0)
	if got, err := os.ReadFile(filepath.Join(home, ".zshrc")); err != nil || string(got) != "export HOME_WAS="+home+"\n" {
		t.Errorf("%q, %v", got, err)
	}
}
