package component

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"maia-dr/engine/vault"
)

// Entry is something to capture.
type Entry struct {
	Component string
	// Path is slash-separated, as in the archive: relative to the Maia root (code, data), the bare name of the plist
	// (launchagents), relative to home (shell_configs). Its bytes are those of the file system, UTF-8 or not.
	Path string
	// Source is the absolute path to read from. For what is captured through a link it is what the link leads to.
	Source string
	Kind   Kind
	// Mode is the permission bits with setuid, setgid and sticky as in a tar, 07777.
	Mode uint32
	Stat Stat
	// Link is a symlink's target.
	Link string
}

// RuleCount is what one rule excludes.
type RuleCount struct {
	Rule  string
	Files int
	Bytes int64
	// Examples are at most 5, the largest first; a folder that is excluded with all it holds ends with a slash.
	Examples []string
	// Uncounted is the number of folders in it that could not be listed.
	Uncounted int
}

// SecretFile is a file that is not captured because it holds, or may hold, secrets.
type SecretFile struct {
	Component, Path, Source string
	// Reason is for a person. Names are those of variables, sorted; never a value.
	Reason string
	Names  []string
	// Redactable says that a redacted copy stands in the file's place in the backup, made by vault.Redact for Kind; otherwise
	// all of the file is secret, or what it holds is not known, and it goes into the vault alone.
	Redactable bool
	Kind       vault.Kind
	// Mode is as in Entry. Source is not to be read where it no longer has the Stat.
	Mode uint32
	Stat Stat
}

// HomePath returns where a personal file lies, as SecretFiles name it.
func HomePath(component, path string) string {
	if component == LaunchAgents {
		return "~/" + agentsDir + "/" + path
	}
	return "~/" + path
}

// LeftOut is something that could not be captured.
type LeftOut struct {
	Component, Path string
	// Reason is for a person.
	Reason string
	// Missing tells what has content that is now in no backup, an unreadable file, from a socket, which has none.
	Missing bool
	// Dir says that it is a folder: what is in it is unknown, and no folder is ever taken for empty.
	Dir bool
}

// VirtualEnv is a Python environment under the root. It is excluded, to be rebuilt.
type VirtualEnv struct {
	// Path is relative to the root; "." is the root itself.
	Path string `json:"path"`
	// Python is the version in its pyvenv.cfg, Home the folder of the Python it was made with; both may be empty.
	Python string `json:"python"`
	Home   string `json:"home"`
}

// Inventory is what there is to back up at one moment. It is read-only once made.
type Inventory struct {
	Root, Home string
	// Maia says that the root is a Maia; otherwise everything in it is code.
	Maia bool
	// Entries are sorted by component and the bytes of their paths, so a folder comes before what is in it.
	Entries  []Entry
	Excluded []RuleCount
	Secrets  []SecretFile
	LeftOut  []LeftOut
	// Sidecars are the files excluded by RuleSidecar, by the path of their database.
	Sidecars map[string][]Entry
	// Outside are links under the root to folders outside of it: the links are captured, the folders are not.
	Outside []LeftOut
	// Agents are all agents that could be read, also those that are secret-bearing.
	Agents      []Agent
	VirtualEnvs []VirtualEnv
	// Repositories are the folders under the root that have a .git, relative to it; "." is the root itself.
	Repositories []string

	seen int
}

// Options say what to look at. Root is required.
type Options struct {
	// Root and Home are absolute. Without Home nothing personal is looked for.
	Root, Home string
	// Own are the repository, the OneDrive folder and the state directory.
	Own []FileID
	// LargeDatabase is a size in bytes; 0: DefaultLargeDatabase.
	LargeDatabase int64
	// Exclude are doublestar patterns relative to the root, from the configuration.
	Exclude []string
	// Agents and ShellFiles are further ones from the configuration: patterns for names in ~/Library/LaunchAgents, and
	// paths under home, which may begin with "~/".
	Agents, ShellFiles []string
	// SecretFiles are files that are secret as a whole because the configuration says so, Moved those in which a captured
	// value was found: paths relative to the root, or under home with "~/" before them.
	SecretFiles, Moved []string
	KeepGitHistory     bool
	// Known may be nil. It answers for files that it has seen before, so that they are not opened. Called from the
	// goroutine of Take.
	Known func(source string, st Stat) (kind Kind, ok bool)
}

func (o *Options) applyDefaults() {
	if o.LargeDatabase <= 0 {
		o.LargeDatabase = DefaultLargeDatabase
	}
	o.Root = filepath.Clean(o.Root)
}

// Take makes the inventory. It follows no link below the root and opens no file for longer than its first bytes take
// to read; no SQLite database may be open in this process meanwhile, since closing a file drops its locks.
//
// What cannot be read is in the inventory's LeftOut and no error. Errors are a root that cannot be listed, a bad
// pattern, and ctx's.
func Take(ctx context.Context, o Options) (*Inventory, error) { return take(ctx, o, realSystem()) }

func take(ctx context.Context, o Options, sys system) (*Inventory, error) {
	o.applyDefaults()
	if !filepath.IsAbs(o.Root) {
		return nil, fmt.Errorf("take inventory of %q: the path is not absolute", o.Root)
	}
	patterns, err := parsePatterns(o.Exclude)
	if err != nil {
		return nil, fmt.Errorf("take inventory: %w", err)
	}
	inv := &Inventory{Root: o.Root, Home: o.Home, Maia: IsMaia(o.Root)}
	w := &walker{
		ctx: ctx, o: &o, sys: sys, inv: inv, patterns: patterns,
		own: map[FileID]bool{}, tallies: map[string]*tally{}, secretIDs: map[FileID]*SecretFile{},
	}
	for _, id := range o.Own {
		w.own[id] = true
	}
	if o.Home != "" {
		if err := w.personal(); err != nil {
			return nil, fmt.Errorf("take inventory of %s: %w", o.Home, err)
		}
	}
	if err := w.root(); err != nil {
		return nil, fmt.Errorf("take inventory of %s: %w", o.Root, err)
	}
	w.finish()
	return inv, nil
}

// finish sorts the inventory.
func (w *walker) finish() {
	inv := w.inv
	slices.SortFunc(inv.Entries, func(a, b Entry) int {
		return cmp.Or(Order(a.Component)-Order(b.Component), strings.Compare(a.Path, b.Path))
	})
	slices.SortFunc(inv.Secrets, func(a, b SecretFile) int {
		return cmp.Or(Order(a.Component)-Order(b.Component), strings.Compare(a.Path, b.Path))
	})
	byPlace := func(a, b LeftOut) int {
		return cmp.Or(Order(a.Component)-Order(b.Component), strings.Compare(a.Path, b.Path))
	}
	slices.SortFunc(inv.LeftOut, byPlace)
	slices.SortFunc(inv.Outside, byPlace)
	slices.SortFunc(inv.Agents, func(a, b Agent) int { return strings.Compare(a.File, b.File) })
	slices.SortFunc(inv.VirtualEnvs, func(a, b VirtualEnv) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(inv.Repositories)
	inv.Repositories = slices.Compact(inv.Repositories)
	rules := slices.Clone(builtinRules)
	for _, p := range w.patterns {
		rules = append(rules, p.rule)
	}
	for _, rule := range rules {
		if t := w.tallies[rule]; t != nil {
			inv.Excluded = append(inv.Excluded, t.count(rule))
		}
	}
}

// Ledger is the coverage in numbers: how many files, links and specials under the Maia root stand where. Folders are
// not counted. Total is counted on its own, not added up, so that the sum proves something.
type Ledger struct {
	Captured, Secret, Excluded, LeftOut, Total int
	// CapturedBytes is the size of the captured files together.
	CapturedBytes int64
}

// Balanced says that every file is in exactly one place.
func (l Ledger) Balanced() bool { return l.Captured+l.Secret+l.Excluded+l.LeftOut == l.Total }

// UnderRoot reports whether a component holds what lies under the Maia root.
func UnderRoot(component string) bool {
	return component == Code || component == DataSmall || component == DataLarge
}

// Ledger returns the coverage of the Maia root.
func (inv *Inventory) Ledger() Ledger {
	l := Ledger{Total: inv.seen}
	for i := range inv.Entries {
		if e := &inv.Entries[i]; UnderRoot(e.Component) && e.Kind != Dir {
			l.Captured++
			if e.Kind != Symlink {
				l.CapturedBytes += e.Stat.Size
			}
		}
	}
	for _, s := range inv.Secrets {
		if UnderRoot(s.Component) {
			l.Secret++
		}
	}
	for _, r := range inv.Excluded {
		l.Excluded += r.Files
	}
	for _, x := range inv.LeftOut {
		if UnderRoot(x.Component) && !x.Dir {
			l.LeftOut++
		}
	}
	return l
}

// pattern is an exclusion of the configuration.
type pattern struct {
	rule, glob string
	filesToo   bool // false: the pattern ended with a slash, folders only
}

func parsePatterns(globs []string) ([]pattern, error) {
	var ps []pattern
	for _, g := range globs {
		trimmed := strings.TrimPrefix(g, "./")
		p := pattern{rule: ConfigRule + g, glob: strings.TrimRight(trimmed, "/")}
		p.filesToo = p.glob == trimmed
		if p.glob == "" || !doublestar.ValidatePattern(p.glob) {
			return nil, fmt.Errorf("read exclusion %q: %w", g, doublestar.ErrBadPattern)
		}
		if !slices.ContainsFunc(ps, func(q pattern) bool { return q.rule == p.rule }) {
			ps = append(ps, p)
		}
	}
	return ps, nil
}

// configRule returns the rule of the first pattern that matches, or "".
func (w *walker) configRule(rel string, dir bool) string {
	for _, p := range w.patterns {
		if !dir && !p.filesToo {
			continue
		}
		if ok, err := doublestar.Match(p.glob, rel); err == nil && ok {
			return p.rule
		}
	}
	return ""
}

// tally adds up what a rule excludes.
type tally struct {
	files, uncounted int
	bytes            int64
	top              []example
}

type example struct {
	path  string
	bytes int64
}

// maxExamples is how many examples a rule keeps.
const maxExamples = 5

func (t *tally) example(path string, bytes int64) {
	t.top = append(t.top, example{path, bytes})
	slices.SortFunc(t.top, func(a, b example) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), strings.Compare(a.path, b.path))
	})
	t.top = t.top[:min(len(t.top), maxExamples)]
}

func (t *tally) count(rule string) RuleCount {
	c := RuleCount{Rule: rule, Files: t.files, Bytes: t.bytes, Uncounted: t.uncounted}
	for _, e := range t.top {
		c.Examples = append(c.Examples, e.path)
	}
	return c
}
