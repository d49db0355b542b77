package vault

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// Placeholder begins what stands in the place of a secret in a redacted copy; its name follows.
const Placeholder = "MAIA-VAULT:"

// reference matches values that stand for one kept elsewhere.
var reference = regexp.MustCompile(
	`^(\$[A-Za-z_][A-Za-z0-9_]*|\$[0-9@*#?!]|\$\{[^{}]*\}|\$\{\{[^{}]*\}\}|ENV:[A-Za-z_][A-Za-z0-9_]*|%[A-Za-z_][A-Za-z0-9_]*%` +
		`|op://\S+|<[^<>]*>|\{\{[^{}]*\}\}|\{[^{}\s]*\}` +
		"|(\\$\\(|`)\\s*(<|cat|security|op|pass|gopass|gh|bw|lpass|rbw|keyring|secret-tool|aws|gcloud|az|vault|doppler)(\\s.*)?)$")

// fallback finds the value that a reference has where the variable has none: ${TOKEN:-abc}.
var fallback = compile("${", `\$\{([A-Za-z_][A-Za-z0-9_]*):?[-=]([^{}\n]+)\}`)

// filler matches what people write where a secret is to be put.
var filler = regexp.MustCompile(`(?i)^(x{3,}|\*+|\.+|-+|_+|0+|\?+|#+|…|•+|none|null|nil|undefined|true|false|yes|no|on|off|n/a|` +
	`change[-_ ]?(me|this|it)|placeholder|to-?do|tbd|fixme|redacted|dummy|example|sample|empty|unset|missing|required|optional|\( ?\)|\[\]|\{\}|~|` +
	`(your|insert|enter|replace|paste)[-_ ].*|.*[-_ ]here|maia-vault:.*|.*x{5,}.*)$`)

// placeholder reports whether a value stands for none.
func placeholder(value string) bool {
	value = strings.TrimSpace(value)
	return value == "" || filler.MatchString(value) || reference.MatchString(value) && !fallback.MatchString(value)
}

// quantities and places are words that say what else a variable with a secret-sounding name is.
var (
	quantities = []string{
		"max", "min", "limit", "count", "timeout", "ttl", "size", "length", "num", "number", "budget", "repeat", "delay", "total", "used", "usage", "per",
	}
	places  = []string{"path", "file", "dir", "directory", "folder", "filename", "sock", "socket", "cmd", "command"}
	number  = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	rooted  = regexp.MustCompile(`^((~|\.\.?|\$HOME|\$\{HOME\})/|/(Users|usr|opt|etc|var|bin|sbin|tmp|private|Library|System|Applications|Volumes|home|dev)(/|$))[^\s]*$`)
	email   = compile("@", `^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
	uuid    = compile("-", `^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	host    = compile(".", `^[a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]+)?$`)
	address = compile("://", `^[A-Za-z][A-Za-z0-9+.-]*://\S+$`)
)

// harmless reports whether a value of a variable with a secret-sounding name is no secret.
func harmless(name, value string) bool {
	ws := words(name)
	if number.MatchString(value) && len(ws) > 0 &&
		(ws[len(ws)-1] == "tokens" || slices.ContainsFunc(ws, func(w string) bool { return slices.Contains(quantities, w) })) {
		return true
	}
	if rooted.MatchString(value) {
		return true
	}
	return len(ws) > 0 && slices.Contains(places, ws[len(ws)-1]) && strings.ContainsAny(value, "/~$")
}

// minUser is how long a user's name in an address has to be to be taken for a token.
const minUser = 20

// urlParts returns the place of what is secret in each address of a text: the password, which may have an "@" in it, or
// a token in the user's place.
func urlParts(text string) (places [][2]int) {
	for at := 0; ; {
		n := strings.Index(text[at:], "://")
		if n < 0 {
			return places
		}
		from := at + n + 3
		to := from
		for to < len(text) && strings.IndexByte("/ \t\r\n\"'<>`", text[to]) < 0 {
			to++
		}
		at = from
		if from == 3 || !isAlnum(text[from-4]) {
			continue // no scheme
		}
		info := text[from:to]
		if info = info[:max(0, strings.LastIndexByte(info, '@'))]; info == "" {
			continue
		}
		user, password, ok := strings.Cut(info, ":")
		switch {
		case ok && password != "x-oauth-basic": // GitHub's word for a token in the user's place
			from += len(user) + 1
			to = from + len(password)
		case ok || len(user) >= minUser:
			to = from + len(user)
		default:
			continue
		}
		if !placeholder(text[from:to]) {
			places = append(places, [2]int{from, to})
		}
	}
}

// part finds the part of a value that alone is secret: the password of an address or of a connection string, the
// credential after "Bearer".
func part(value string) (from, to int, ok bool) {
	if places := urlParts(value); len(places) > 0 {
		return places[0][0], places[0][1], true
	}
	for _, re := range []expression{connection, bearer} {
		if m := re.FindStringSubmatchIndex(value); m != nil && !placeholder(value[m[2]:m[3]]) {
			return m[2], m[3], true
		}
	}
	return 0, 0, false
}

var (
	connection = compile("=", `(?i)(?:^|;)\s*(?:password|pwd|accountkey|sharedaccesskey|sharedaccesssignature)\s*=\s*([^;"'\s]+)`)
	bearer     = expression{Regexp: regexp.MustCompile(`(?i)(?:authorization["']?\s*[:=]\s*["']?|^)(?:bearer|basic|token)\s+([A-Za-z0-9._~+/=-]{8,})`), blank: true}
)

type verdict uint8

const (
	nothing verdict = iota
	identifier
	secret
)

// judge decides what the value of a name is, and which part of it is to be kept: from and to are offsets in value. names
// are those around it, its own last.
func (k Kind) judge(names []string, value string) (v verdict, from, to int) {
	whole := func(v verdict) (verdict, int, int) { return v, 0, len(value) }
	trimmed := strings.TrimSpace(value)
	if len(names) == 0 || placeholder(trimmed) || strings.EqualFold(trimmed, names[len(names)-1]) {
		return nothing, 0, 0
	}
	own := names[len(names)-1]
	if from, to, ok := part(value); ok {
		return secret, from, to
	}
	sounds := k.sound(names)
	if start, end, ok := provided(value); ok {
		if sounds == strong {
			return whole(secret)
		}
		return secret, start, end
	}
	if harmless(own, trimmed) {
		return nothing, 0, 0
	}
	personal := identifies(own) || email.MatchString(trimmed) || uuid.MatchString(trimmed) && sounds != strong || address.MatchString(trimmed)
	random := highEntropy(trimmed) && !public(own)
	switch {
	case sounds == strong && (!personal || random && !address.MatchString(trimmed)):
		return whole(secret)
	case sounds == weak && tokenish(trimmed) && !personal:
		return whole(secret)
	case random && !personal:
		return whole(secret)
	case personal:
		return whole(identifier)
	}
	return nothing, 0, 0
}

// sound is the strength of a name where it stands.
func (k Kind) sound(names []string) strength {
	own := names[len(names)-1]
	s := strengthOf(own)
	if (k == Settings || k == Python) && (strings.EqualFold(own, "key") || strings.EqualFold(own, "keys")) {
		s = weak // mostly one of a table or a keyboard
	}
	for _, parent := range names[:len(names)-1] {
		if s == none && holds(parent) {
			s = weak
			if k == Python {
				s = strong
			}
		}
	}
	return s
}

// tokenish reports whether a value may be something that a machine made.
func tokenish(s string) bool {
	digits, letters := kindsOf(s)
	return len(s) >= 8 && !strings.ContainsAny(s, " \t\n") && digits > 0 && letters > 0 && !host.MatchString(s)
}

func kindsOf(s string) (digits, letters int) {
	for i := range len(s) {
		switch {
		case isDigit(s[i]):
			digits++
		case isLetter(s[i]):
			letters++
		}
	}
	return digits, letters
}

// highEntropy reports whether a value of 20 characters or more was hardly thought of by a person.
func highEntropy(s string) bool {
	if len(s) < 20 || len(s) > 4096 || uuid.MatchString(s) {
		return false
	}
	run, longest := 0, 0
	var count [256]int
	hex := true
	for i := range len(s) {
		c := s[i]
		count[c]++
		if isAlnum(c) {
			run++
			longest = max(longest, run)
			hex = hex && (isDigit(c) || c|0x20 <= 'f')
			continue
		}
		run, hex = 0, false
		if !strings.ContainsRune("+/=_.~-", rune(c)) {
			return false
		}
	}
	if digits, letters := kindsOf(s); digits < 2 || letters < 2 || longest < 16 || strings.Contains(strings.ToLower(s), "abcdefgh") {
		return false
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			bits -= p * math.Log2(p)
		}
	}
	if hex {
		return len(s) >= 32 && bits >= 3
	}
	return bits >= 3.7
}
