package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"

	"maia-dr/engine/retention"
)

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

func TestMissingOrEmptyFileIsTheDefaults(t *testing.T) {
	c, err := Load(filepath.Join(t.TempDir(), "none.toml"))
	if err != nil || !reflect.DeepEqual(c, Defaults()) {
		t.Errorf("missing: %+v, %v", c, err)
	}
	for _, text := range []string{"", "# nothing\n", "[capture]\n"} {
		if c, err := load(t, text); err != nil || !reflect.DeepEqual(c, Defaults()) {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

func TestUnreadableFileIsNotTheDefaults(t *testing.T) {
	// A folder: its text cannot be read, but it is there.
	if _, err := Load(t.TempDir()); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was read: %v", err)
	}
}

func TestDefaultFileIsTheDefaults(t *testing.T) {
	c, err := load(t, string(Default()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, Defaults()) {
		t.Errorf("the file says\n%+v, the code\n%+v", c, Defaults())
	}
}

// keysIn returns the full names of the keys set in a TOML document, in its order.
func keysIn(b []byte) (keys []string) {
	table := ""
	for line := range strings.Lines(string(b)) {
		if m := regexp.MustCompile(`^\[(\w+)\]`).FindStringSubmatch(line); m != nil {
			table = m[1] + "."
		} else if m := regexp.MustCompile(`^(\w+) = (.*)`).FindStringSubmatch(line); m != nil {
			keys = append(keys, table+m[1])
		}
	}
	return keys
}

func TestFileStructAndDocumentAgree(t *testing.T) {
	keys := Keys()
	if len(keys) < 20 {
		t.Fatalf("%d keys: the test sees too little", len(keys))
	}
	if got := keysIn(Default()); !slices.Equal(got, keys) {
		t.Errorf("the default file has\n%v, the struct\n%v", got, keys)
	}
	var raw map[string]any
	if err := toml.Unmarshal(Default(), &raw); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| `(.*?)` \\| (.+) \\|$").FindAllStringSubmatch(string(doc), -1) {
		key, value, meaning := m[1], m[2], m[3]
		documented = append(documented, key)
		want := any(raw)
		for part := range strings.SplitSeq(key, ".") {
			want, _ = want.(map[string]any)[part]
		}
		var got map[string]any
		if err := toml.Unmarshal([]byte("v = "+value), &got); err != nil {
			t.Errorf("%s: its documented default %s is no value: %v", key, value, err)
		} else if !reflect.DeepEqual(got["v"], want) {
			t.Errorf("%s: documented default %s, in the file %v", key, value, want)
		}
		if strings.TrimSpace(meaning) == "" {
			t.Errorf("%s: no meaning", key)
		}
	}
	if !slices.Equal(documented, keys) {
		t.Errorf("docs/configuration.md has\n%v, the struct\n%v", documented, keys)
	}
	var limited []string
	for _, l := range limits {
		if l.key != "retention" {
			limited = append(limited, l.key)
		}
	}
	if !slices.Equal(limited, keys) {
		t.Errorf("limits are\n%v, keys\n%v", limited, keys)
	}
}

func TestEveryKeyCanBeSet(t *testing.T) {
	c, err := load(t, `
maia_root = "~/git/maia"
onedrive_path = "/Volumes/One Drive"
[capture]
exclude = ["claude/data/cache/", "**/*.bak"]
shell_files = [".vimrc", "~/.config/gh"]
launch_agents = ["homebrew.mxcl.*.plist"]
large_database_mb = 64
[retention]
daily = 14
weekly = 0
monthly = 3
[sync]
slow_after = "90m"
wait = "0s"
[git]
keep_history = true
[onedrive]
graph_client_id = "0a1b-2c"
[secrets]
files = ["claude/x.key", "~/.aws/credentials"]
keychain_items = ["GitHub"]
keychain_backend = "security"
[notify]
success = true
healthcheck = true
webhook = true
[schedule]
at = "23:59"
catch_up = []
drill = "off"
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		MaiaRoot: "~/git/maia", OneDrivePath: "/Volumes/One Drive",
		Capture: Capture{
			Exclude: []string{"claude/data/cache/", "**/*.bak"}, ShellFiles: []string{".vimrc", "~/.config/gh"},
			LaunchAgents: []string{"homebrew.mxcl.*.plist"}, LargeDatabaseMB: 64,
		},
		Retention: Retention{Daily: 14, Weekly: 0, Monthly: 3},
		Sync:      Sync{SlowAfter: DurationOf(90 * time.Minute)},
		Git:       Git{KeepHistory: true}, OneDrive: OneDrive{GraphClientID: "0a1b-2c"},
		Secrets: Secrets{
			Files: []string{"claude/x.key", "~/.aws/credentials"}, KeychainItems: []string{"GitHub"}, KeychainBackend: BackendSecurity,
		},
		Notify:   Notify{Success: true, Healthcheck: true, Webhook: true},
		Schedule: Schedule{At: ClockAt(23, 59), CatchUp: []Clock{}, Drill: DrillOff},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v, want\n%+v", c, want)
	}
	if got := c.LargeDatabaseBytes(); got != 64<<20 {
		t.Errorf("LargeDatabaseBytes = %d", got)
	}
	if got, want := c.Retention.Policy(), (retention.Policy{Daily: 14, Weekly: -1, Monthly: 3}); got != want {
		t.Errorf("Policy = %+v, want %+v", got, want)
	}
	if _, ok := c.Schedule.DrillDay(); ok {
		t.Error("there is a drill day although it is off")
	}
	set := reflect.ValueOf(c)
	for i := range set.NumField() {
		if reflect.DeepEqual(set.Field(i).Interface(), reflect.ValueOf(Defaults()).Field(i).Interface()) {
			t.Errorf("%s was left at its default: this test does not set it", set.Type().Field(i).Name)
		}
	}
}

func TestZeroConfigMeansTheDefaults(t *testing.T) {
	var zero Config
	d := Defaults()
	if zero.LargeDatabaseBytes() != d.LargeDatabaseBytes() {
		t.Error("LargeDatabaseBytes differ")
	}
	if p := zero.Retention.Policy(); p != (retention.Policy{}) {
		t.Errorf("a zero configuration would prune by %+v", p)
	}
	day, ok := zero.Schedule.DrillDay()
	if wantDay, wantOK := d.Schedule.DrillDay(); day != wantDay || ok != wantOK || !ok {
		t.Errorf("DrillDay = %v, %v", day, ok)
	}
}

func TestErrorsNameKeyAndLine(t *testing.T) {
	for _, c := range []struct {
		text string
		kind error
		line int
		key  string
		say  string // must be in the message
	}{
		{"\n\nmaia_rot = \"/x\"\n", ErrUnknownKey, 3, "maia_rot", "maia_root"},
		{"[capture]\nexclude = []\nexlude = []\n", ErrUnknownKey, 3, "capture.exlude", "large_database_mb"},
		{"# one\n[captures]\nexclude = []\n", ErrUnknownKey, 2, "captures", ""},
		{"capture.exlude = []\n", ErrUnknownKey, 1, "capture.exlude", "exclude"},
		{"[schedule]\nat = { hour = 3 }\n", ErrUnknownKey, 2, "", ""},
		{"[schedule]\nat = 3\n", ErrValue, 2, "schedule.at", "time of day"},
		{"[schedule]\nat = 03:00:00\n", ErrValue, 2, "schedule.at", "time of day"},
		{"[sync]\nwait = 300\n", ErrValue, 2, "sync.wait", "0s"},
		{"[git]\nkeep_history = \"yes\"\n", ErrValue, 2, "git.keep_history", "true or false"},
		{"maia_root = 3\n", ErrValue, 1, "maia_root", "absolute path"},
		{"[capture]\nexclude = \"*.bak\"\n", ErrValue, 2, "capture.exclude", "list"},
		{"[capture]\n\nexclude = [\"[\"]\n", ErrValue, 3, "capture.exclude", "pattern"},
		{"[capture]\nexclude = [\"/etc\"]\n", ErrValue, 2, "capture.exclude", "relative"},
		{"[capture]\nexclude = [\"a/../../b\"]\n", ErrValue, 2, "capture.exclude", "out of"},
		{"[capture]\nshell_files = [\"/etc/passwd\"]\n", ErrValue, 2, "capture.shell_files", "home"},
		{"[capture]\nshell_files = [\"~/..\"]\n", ErrValue, 2, "capture.shell_files", "home"},
		{"[capture]\nshell_files = [\"~\"]\n", ErrValue, 2, "capture.shell_files", "home"},
		{"[capture]\nlaunch_agents = [\"../x.plist\"]\n", ErrValue, 2, "capture.launch_agents", "file name"},
		{"[capture]\nlarge_database_mb = 0\n", ErrValue, 2, "capture.large_database_mb", "1 to"},
		{"capture = { large_database_mb = -4 }\n", ErrValue, 1, "capture.large_database_mb", "1 to"},
		{"[retention]\ndaily = -1\n", ErrValue, 2, "retention.daily", "0 to 1000"},
		{"[retention]\ndaily = 0\nweekly = 0\nmonthly = 0\n", ErrValue, 1, "retention", "at least one"},
		{"[retention]\ndaily = 99999999999999999999\n", ErrValue, 2, "retention.daily", "0 to 1000"},
		{"[sync]\nwait = \"5 minutes\"\n", ErrValue, 2, "sync.wait", "5m"},
		{"[sync]\nwait = \"-5m\"\n", ErrValue, 2, "sync.wait", "24h"},
		{"sync.slow_after = \"1s\"\n", ErrValue, 1, "sync.slow_after", "1m"},
		{"[schedule]\nat = \"3:00\"\n", ErrValue, 2, "schedule.at", "03:00"},
		{"[schedule]\nat = \"24:00\"\n", ErrValue, 2, "schedule.at", "03:00"},
		{"[schedule]\ncatch_up = [\"09:00\", \"nine\"]\n", ErrValue, 2, "schedule.catch_up", "nine"},
		{"[schedule]\ndrill = \"someday\"\n", ErrValue, 2, "schedule.drill", "sunday"},
		{"[secrets]\nkeychain_backend = \"file\"\n", ErrValue, 2, "secrets.keychain_backend", "security"},
		{"[secrets]\nkeychain_items = [\" \"]\n", ErrValue, 2, "secrets.keychain_items", "names"},
		{"[secrets]\nfiles = [\"../x\"]\n", ErrValue, 2, "secrets.files", "out of"},
		{"[onedrive]\ngraph_client_id = \"a b\"\n", ErrValue, 2, "onedrive.graph_client_id", "letters"},
		{"onedrive_path = \"OneDrive\"\n", ErrValue, 1, "onedrive_path", "absolute"},
		{"maia_root = \"/a\\u0000b\"\n", ErrValue, 1, "maia_root", "NUL"},
		{"[git]\nkeep_history = true\nkeep_history = true\n", ErrSyntax, 3, "", ""},
		{"maia_root = \n", ErrSyntax, 1, "", ""},
		{"maia_root = \"\xff\"\n", ErrSyntax, 1, "", ""},
	} {
		_, err := load(t, c.text)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v is no Error", c.text, err)
			continue
		}
		if !errors.Is(err, c.kind) || e.Line != c.line || c.key != "" && e.Key != c.key || e.Path == "" {
			t.Errorf("%q: kind %v, line %d, key %q, path %q; want %v, %d, %q", c.text, e.Err, e.Line, e.Key, e.Path, c.kind, c.line, c.key)
		}
		if !strings.Contains(err.Error(), c.say) || !strings.Contains(err.Error(), e.Path) {
			t.Errorf("%q: %v does not say %q", c.text, err, c.say)
		}
		if strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("%q: the message has several lines: %q", c.text, err)
		}
	}
}

func TestTooLargeFileIsRefused(t *testing.T) {
	if _, err := load(t, strings.Repeat("# all comment\n", maxFile/14+1)); !errors.Is(err, ErrSyntax) {
		t.Errorf("%v", err)
	}
}

func TestExpandHome(t *testing.T) {
	for in, want := range map[string]string{
		"~": "/h", "~/": "/h", "~/a/b": "/h/a/b", "/a": "/a", "": "", "~x/a": "~x/a", "a/~": "a/~",
	} {
		if got := ExpandHome(in, "/h"); got != want {
			t.Errorf("ExpandHome(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	seeds := [][]byte{
		Default(), nil, []byte("[capture]\nexclude = [\"**/x\", '{a,b}']"), []byte("retention.daily = 0"),
		[]byte("[schedule]\nat=\"00:00\"\ncatch_up=[]"), []byte("sync={wait=\"1h0m0.5s\"}"), []byte("\xef\xbb\xbfmaia_root='~'"),
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parse(b)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Err == nil || e.Problem == "" || e.Line < 0 || e.Line > bytes.Count(b, []byte("\n"))+1 {
				t.Fatalf("%#v", err)
			}
			return
		}
		text, err := toml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(text)
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v came back as %+v, %v", c, again, err)
		}
		if p := c.Retention.Policy(); p.Daily < 0 && p.Weekly < 0 && p.Monthly < 0 {
			t.Fatalf("%+v keeps nothing", p)
		}
	})
}
