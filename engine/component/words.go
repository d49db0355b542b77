package component

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// words splits a variable's name at everything that is no letter or digit and where the case says that a word begins:
// api-key, API_KEY, apiKey and APIKey are all api and key.
func words(name string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		if unicode.IsUpper(r) && i > 0 {
			afterLower := unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])
			beforeLower := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if afterLower || beforeLower && unicode.IsUpper(runes[i-1]) {
				flush()
			}
		}
		word = append(word, r)
	}
	flush()
	return out
}

// keyWords are written together so often that the word in them must be known. MONKEY, KEYMAP and KEYTIMEOUT are not
// among them.
var keyWords = []string{
	"key", "keys", "apikey", "apikeys", "accesskey", "secretkey", "privatekey", "authkey", "masterkey", "encryptionkey",
	"licensekey", "accountkey", "storagekey", "clientkey", "appkey", "servicekey", "sshkey",
}

// secretName reports whether a variable is called like something secret.
func secretName(name string) bool {
	ws := words(name)
	for i, w := range ws {
		last := i == len(ws)-1
		switch {
		case strings.Contains(w, "passw"), strings.HasPrefix(w, "passphrase"),
			strings.HasSuffix(w, "token"), strings.HasSuffix(w, "tokens"),
			strings.HasSuffix(w, "secret"), strings.HasSuffix(w, "secrets"),
			w == "credential", w == "credentials", slices.Contains(keyWords, w):
			return true
		case last && w == "pass", last && i > 0 && w == "pwd":
			return true
		case last && i > 0 && w == "pat" && name == strings.ToUpper(name):
			return true // GITHUB_PAT
		}
	}
	return false
}

// quantities and places are words that say what else a variable with a secret-sounding name is.
var (
	quantities = []string{"max", "min", "limit", "count", "timeout", "ttl", "size", "length", "num", "number", "budget", "repeat", "delay"}
	places     = []string{"path", "file", "dir", "directory", "folder", "filename", "sock", "socket", "cmd", "command"}
	number     = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
)

// reference matches values that stand for one kept elsewhere.
var reference = regexp.MustCompile(
	`^(\$[A-Za-z_][A-Za-z0-9_]*|\$[0-9@*#?!]|\$\{[^{}]*\}|ENV:[A-Za-z_][A-Za-z0-9_]*|%[A-Za-z_][A-Za-z0-9_]*%` +
		"|(\\$\\(|`)\\s*(<|cat|security|op|pass|gopass|gh|bw|lpass|rbw|keyring|secret-tool|aws|gcloud|az|vault|doppler)(\\s.*)?)$")

// harmless reports whether a value of a variable with a secret-sounding name is no secret.
func harmless(name, value string) bool {
	value = strings.TrimSpace(value)
	switch strings.ToLower(value) {
	case "", "true", "false", "yes", "no", "on", "off", "none", "null", "nil", "()", "( )":
		return true
	}
	if reference.MatchString(value) && !fallback.MatchString(value) {
		return true
	}
	ws := words(name)
	if number.MatchString(value) && slices.ContainsFunc(ws, func(w string) bool { return slices.Contains(quantities, w) }) {
		return true
	}
	return len(ws) > 0 && slices.Contains(places, ws[len(ws)-1]) && strings.ContainsAny(value, "/~$")
}

// assignment finds names that something is assigned to. What it finds is judged by secretsIn.
var assignment = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)(["']?[ \t]*)(\+?=|:)`)

// setCommand is how csh and fish assign.
var setCommand = regexp.MustCompile(`^[ \t]*(?:set(?:[ \t]+-[A-Za-z-]+)*|setenv)[ \t]+([A-Za-z_][A-Za-z0-9_]*)[ \t]+([^ \t=].*)$`)

// fallback finds the value that a reference has where the variable has none: ${TOKEN:-abc}.
var fallback = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*):?[-=]([^{}]+)\}`)

// urlPassword finds addresses with a password, or with something as long as a token, before the host.
var urlPassword = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://(?:[^/\s:@"'<>]*:([^/\s@"'<>]+)|([^/\s:@"'<>]{20,}))@`)

// What is found that has no name.
const (
	nameURL = "(an address with a password in it)"
	namePEM = "(a private key)"
)

// style says which ways of assigning a text may use.
type style struct {
	// spaced allows name = value at the beginning of a line, colon name: value.
	spaced, colon bool
}

// secretsIn returns the names of the variables in a text that are called like secrets and have a value; a comment
// counts, for what stands in it can be read as well. Sorted, each once, never a value.
func secretsIn(text string, s style) []string {
	found := map[string]bool{}
	add := func(name, value string) {
		if !found[name] && secretName(name) && !harmless(name, value) {
			found[name] = true
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := setCommand.FindStringSubmatch(line); m != nil {
			add(m[1], valueAt(m[2]))
		}
		for _, m := range assignment.FindAllStringSubmatchIndex(line, -1) {
			if s.accepts(line, m) {
				add(line[m[2]:m[3]], valueAt(strings.TrimLeft(line[m[1]:], " \t")))
			}
		}
		for _, m := range fallback.FindAllStringSubmatch(line, -1) {
			add(m[1], valueAt(m[2]))
		}
		for _, m := range urlPassword.FindAllStringSubmatch(line, -1) {
			if !reference.MatchString(m[1] + m[2]) {
				found[nameURL] = true
			}
		}
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		found[namePEM] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// accepts judges a match of assignment in a line.
func (s style) accepts(line string, m []int) bool {
	name, gap, sign, rest := m[2], line[m[4]:m[5]], line[m[6]:m[7]], line[m[1]:]
	if name > 0 {
		if c := line[name-1]; c == '$' || c == '{' && name > 1 && line[name-2] == '$' || c >= '0' && c <= '9' {
			return false
		}
	}
	start := strings.Trim(line[:name], " \t\"'{,-") == "" || strings.TrimSpace(line[:name]) == "export"
	switch {
	case sign == ":":
		return s.colon && (start || gap != "" && gap[0] != ' ' && gap[0] != '\t')
	case strings.HasPrefix(rest, "=") || strings.HasPrefix(rest, "~="):
		return false
	case gap == "":
		// A shell assigns nothing in NAME= value.
		return s.spaced && start || !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "\t")
	}
	return s.spaced && start
}

// valueAt returns the value that a text begins with, without its quotes.
func valueAt(text string) string {
	text = strings.TrimPrefix(text, "$'")
	for _, q := range []string{`"`, `'`} {
		if inner, ok := strings.CutPrefix(text, q); ok {
			inner, rest, closed := strings.Cut(inner, q)
			if closed && inner == "" {
				// An empty string, or a piece of one: ""abc is abc.
				return valueEnd(rest)
			}
			return inner + " "[:min(1, len(valueEnd(rest)))] + valueEnd(rest)
		}
	}
	if strings.HasPrefix(text, "$(") || strings.HasPrefix(text, "`") {
		return text
	}
	if strings.HasPrefix(text, "${") {
		if i := strings.IndexByte(text, '}'); i >= 0 {
			return text[:i+1] + valueEnd(text[i+1:])
		}
	}
	return valueEnd(text)
}

// valueEnd cuts a bare value where a shell would.
func valueEnd(text string) string {
	if i := strings.IndexAny(text, " \t;&|,}"); i >= 0 {
		return text[:i]
	}
	return text
}
