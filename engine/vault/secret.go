package vault

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Secret is something in a file that opens something, or says who its owner is. No formatting shows its value.
type Secret struct {
	// Name is the variable's, with those around it: "SERVICES.github.token"; a host in .netrc; what it is, where it has
	// no name: "private-key". A file has no two secrets of one name: the second is called NAME~2.
	Name string
	// Value is what a program that reads the file would get; where it is only a part that opens something, that part:
	// the password of an address.
	Value []byte
	// Line is where the value begins, from 1; 0 in a property list.
	Line int
	// Identifier says that it is personal and opens nothing: an e-mail address, a tenant, an address without a password.
	Identifier bool
}

// String names the secret and its line, never the value.
func (s Secret) String() string { return s.Name + " in line " + strconv.Itoa(s.Line) }

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// Format prints String, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText is String: what seals values names them one by one.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Kind is the grammar of a file in which secrets are looked for.
type Kind uint8

// The kinds. Text is any file: only what cannot be taken for anything else is found in it.
const (
	Text Kind = iota
	Python
	Env
	Shell
	Plist
	Netrc
	GitConfig
	Settings // JSON, YAML, TOML
)

var kindNames = [...]string{"text", "python", "env", "shell", "plist", "netrc", "git-config", "settings"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Redactable reports whether a file of the kind gets a redacted copy. The others are secret as a whole, or have no
// grammar that says where a value ends.
func (k Kind) Redactable() bool {
	return k == Shell || k == Plist || k == GitConfig || k == Settings
}

// CredentialsFile is Maia's own file of secrets.
const CredentialsFile = "production_api_credentials.py"

// shellNames are start-up files of shells, and of programs whose files are read as a shell reads.
var shellNames = []string{
	".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".bashrc", ".bash_profile", ".bash_login", ".bash_aliases", ".profile", ".kshrc", ".cshrc",
	".tcshrc", ".aliases", ".exports", ".functions", "config.fish", ".skhdrc", "skhdrc", ".yabairc", "yabairc",
}

// KindOf knows the kind of a file by its path, slash-separated; ok is false for a name that says nothing.
func KindOf(p string) (kind Kind, ok bool) {
	base := path.Base(p)
	switch {
	case base == CredentialsFile:
		return Python, true
	case strings.HasPrefix(base, ".env"), strings.HasSuffix(base, ".env"):
		return Env, true
	case base == ".netrc":
		return Netrc, true
	case base == ".gitconfig", base == ".git-credentials", base == "config.worktree",
		base == "config" && (strings.Contains("/"+p, "/.git/") || strings.HasSuffix("/"+p, "/git/config")):
		return GitConfig, true
	case slices.Contains(shellNames, base):
		return Shell, true
	}
	switch path.Ext(base) {
	case ".plist":
		return Plist, true
	case ".sh", ".bash", ".zsh", ".fish":
		return Shell, true
	case ".json", ".yml", ".yaml", ".toml":
		return Settings, true
	}
	return Text, false
}

// hit is a secret at its place in a text.
type hit struct {
	name, value string
	start, end  int // what spells the value; end is 0 where it has no place of its own
	identifier  bool
	wrap        string // quotes that a text in its place needs
}

// finder collects the hits of one text.
type finder struct {
	kind Kind
	text string
	hits []hit
}

// ErrUnreadable says that a file does not have the form of its kind: what secrets it holds is not known.
var ErrUnreadable = errors.New("unreadable")

// Find returns the secrets in a file of a kind, in their order. ErrUnreadable is returned for property lists alone: all
// other kinds are read as far as they make sense, whatever is in them. Text is found at hundreds of megabytes a second.
func Find(kind Kind, b []byte) ([]Secret, error) {
	hits, err := find(kind, b)
	if err != nil {
		return nil, err
	}
	return secrets(kind, b, hits), nil
}

// FindInPlist is Find in a property list, and ReadPlist of it.
func FindInPlist(b []byte) (list []Secret, top map[string]any, err error) {
	l, err := readPlist(b)
	if err != nil {
		return nil, nil, err
	}
	return secrets(Plist, b, l.find()), l.top, nil
}

func secrets(kind Kind, b []byte, hits []hit) []Secret {
	if len(hits) == 0 {
		return nil
	}
	var out []Secret
	text, line, at := string(b), 1, 0
	for _, h := range hits {
		s := Secret{Name: h.name, Value: []byte(h.value), Identifier: h.identifier}
		if kind != Plist && h.start >= at {
			line += strings.Count(text[at:h.start], "\n")
			at = h.start
		}
		if kind != Plist {
			s.Line = line
		}
		out = append(out, s)
	}
	return distinct(out)
}

// distinct drops what is found again and gives each a name of its own.
func distinct(list []Secret) []Secret {
	type key struct{ name, value string }
	seen, taken, last := map[key]bool{}, map[string]bool{}, map[string]int{}
	out := list[:0]
	for _, s := range list {
		k := key{s.Name, string(s.Value)}
		if seen[k] {
			continue
		}
		seen[k] = true
		for n := max(2, last[k.name]+1); taken[s.Name]; n++ {
			s.Name, last[k.name] = k.name+"~"+strconv.Itoa(n), n
		}
		taken[s.Name] = true
		out = append(out, s)
	}
	return out
}

// find returns all hits sorted by their place, none within another.
func find(kind Kind, b []byte) ([]hit, error) {
	f := &finder{kind: kind, text: string(b)}
	switch kind {
	case Text:
		f.providers(0, len(f.text))
	case Python:
		f.python()
	case Env:
		f.env()
	case Shell:
		f.shell(0, len(f.text))
	case Netrc:
		f.netrc()
	case GitConfig:
		f.gitConfig()
	case Settings:
		f.settings()
	case Plist:
		l, err := readPlist(b)
		if err != nil {
			return nil, err
		}
		return l.find(), nil
	default:
		return nil, fmt.Errorf("find secrets: %v is unknown", kind)
	}
	if kind != Text {
		f.addresses(0, len(f.text))
		f.providers(0, len(f.text))
	}
	return f.sorted(), nil
}

// sorted returns the hits without those that lie in one found before them.
func (f *finder) sorted() []hit {
	slices.SortStableFunc(f.hits, func(a, b hit) int { return a.start - b.start })
	var out []hit
	for _, h := range f.hits {
		for len(out) > 0 && h.end > 0 && h.start < out[len(out)-1].end {
			last := out[len(out)-1]
			if h.end <= last.end && (!last.identifier || h.identifier) || last.start < h.start && !last.identifier {
				h.name = ""
				break
			}
			out = out[:len(out)-1] // a secret in an identifier, or what is longer
		}
		if h.name != "" {
			out = append(out, h)
		}
	}
	return out
}

// assigned judges a value at its place; raw text that differs from the value is one that has escapes. It reports whether
// it is a secret.
func (f *finder) assigned(names []string, value string, start, end int, wrap string) bool {
	v, from, to := f.kind.judge(names, value)
	if v == nothing {
		return false
	}
	if f.text[start:end] == value {
		start, end = start+from, start+to
	}
	f.hits = append(f.hits, hit{
		name: joined(names), value: value[from:to], start: start, end: end, identifier: v == identifier, wrap: wrap,
	})
	return v == secret
}

// joined makes one name, which can stand unquoted in any of the grammars.
func joined(names []string) string {
	var b strings.Builder
	for _, n := range names {
		if n == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		for _, r := range n {
			if r > 127 || !isAlnum(byte(r)) && r != '_' && r != '-' && r != '.' {
				r = '_'
			}
			b.WriteRune(r)
		}
	}
	if b.Len() == 0 {
		return "value"
	}
	return b.String()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLetter(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z'
}
func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }
