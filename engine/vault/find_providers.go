package vault

import (
	"math/bits"
	"strings"
)

// provider is how the tokens of one maker look: a prefix, then min to max characters of an alphabet.
type provider struct {
	prefix, label string
	min, max      int // max 0: no limit
	alphabet      *[256]bool
	mixed         bool // has to have upper case, lower case and digits
	check         func(token string) bool
}

func alphabet(chars string) *[256]bool {
	t := new([256]bool)
	for i := range len(chars) {
		t[chars[i]] = true
	}
	return t
}

var (
	digitChars = "0123456789"
	upperChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lowerChars = "abcdefghijklmnopqrstuvwxyz"
	alnumSet   = alphabet(digitChars + upperChars + lowerChars)
	wordSet    = alphabet(digitChars + upperChars + lowerChars + "_-")
	dottedSet  = alphabet(digitChars + upperChars + lowerChars + "_-.")
	paddedSet  = alphabet(digitChars + upperChars + lowerChars + "_-=")
	hexSet     = alphabet(digitChars + "abcdef")
	base32Set  = alphabet("234567" + upperChars)
	base64Set  = alphabet(digitChars + upperChars + lowerChars + "+/=")
)

// providers are known by the documentation of their makers. At most 64, each of three characters or more.
var providers = []provider{
	{prefix: "sk-ant-", label: "anthropic-key", min: 20, alphabet: wordSet, mixed: true},
	{prefix: "sk-", label: "api-key", min: 24, alphabet: wordSet, mixed: true},
	{prefix: "sk_live_", label: "stripe-key", min: 20, alphabet: alnumSet, mixed: true},
	{prefix: "rk_live_", label: "stripe-key", min: 20, alphabet: alnumSet, mixed: true},
	{prefix: "ghp_", label: "github-token", min: 36, max: 255, alphabet: alnumSet, mixed: true},
	{prefix: "gho_", label: "github-token", min: 36, max: 255, alphabet: alnumSet, mixed: true},
	{prefix: "ghu_", label: "github-token", min: 36, max: 255, alphabet: alnumSet, mixed: true},
	{prefix: "ghs_", label: "github-token", min: 36, max: 255, alphabet: alnumSet, mixed: true},
	{prefix: "ghr_", label: "github-token", min: 36, max: 255, alphabet: alnumSet, mixed: true},
	{prefix: "github_pat_", label: "github-token", min: 60, max: 255, alphabet: wordSet, mixed: true},
	{prefix: "glpat-", label: "gitlab-token", min: 20, alphabet: dottedSet},
	{prefix: "xoxb-", label: "slack-token", min: 20, alphabet: wordSet},
	{prefix: "xoxp-", label: "slack-token", min: 20, alphabet: wordSet},
	{prefix: "xoxa-", label: "slack-token", min: 20, alphabet: wordSet},
	{prefix: "xoxr-", label: "slack-token", min: 20, alphabet: wordSet},
	{prefix: "xoxs-", label: "slack-token", min: 20, alphabet: wordSet},
	{prefix: "xapp-1-", label: "slack-token", min: 20, alphabet: wordSet},
	{prefix: "AKIA", label: "aws-access-key-id", min: 16, max: 16, alphabet: base32Set},
	{prefix: "ASIA", label: "aws-access-key-id", min: 16, max: 16, alphabet: base32Set},
	{prefix: "AIza", label: "google-key", min: 35, max: 35, alphabet: wordSet, mixed: true},
	{prefix: "ya29.", label: "google-token", min: 30, alphabet: dottedSet, mixed: true},
	{prefix: "secret_", label: "notion-token", min: 43, max: 43, alphabet: alnumSet, mixed: true},
	{prefix: "ntn_", label: "notion-token", min: 40, max: 50, alphabet: alnumSet, mixed: true},
	{prefix: "ATATT", label: "atlassian-token", min: 40, alphabet: paddedSet, mixed: true},
	{prefix: "ATTA", label: "trello-token", min: 60, max: 80, alphabet: hexSet},
	{prefix: "eyJ", label: "jwt", min: 50, alphabet: dottedSet, mixed: true, check: isJWT},
	{prefix: "npm_", label: "npm-token", min: 36, max: 36, alphabet: alnumSet, mixed: true},
	{prefix: "pypi-AgEI", label: "pypi-token", min: 50, alphabet: wordSet, mixed: true},
	{prefix: "hf_", label: "huggingface-token", min: 30, max: 40, alphabet: alnumSet, mixed: true},
	{prefix: "SG.", label: "sendgrid-key", min: 60, max: 70, alphabet: dottedSet, mixed: true},
	{prefix: "shpat_", label: "shopify-token", min: 32, max: 32, alphabet: hexSet},
	{prefix: "shpca_", label: "shopify-token", min: 32, max: 32, alphabet: hexSet},
	{prefix: "shppa_", label: "shopify-token", min: 32, max: 32, alphabet: hexSet},
	{prefix: "shpss_", label: "shopify-token", min: 32, max: 32, alphabet: hexSet},
	{prefix: "lin_api_", label: "linear-key", min: 32, max: 48, alphabet: alnumSet, mixed: true},
	{prefix: "gsk_", label: "groq-key", min: 48, max: 60, alphabet: alnumSet, mixed: true},
	{prefix: "dop_v1_", label: "digitalocean-token", min: 64, max: 64, alphabet: hexSet},
	{prefix: "hvs.", label: "vault-token", min: 24, alphabet: wordSet, mixed: true},
	{prefix: "AGE-SECRET-KEY-1", label: "age-key", min: 58, max: 58, alphabet: alnumSet},
}

const pemBegin = "-----BEGIN "

// marks say of a byte, at the first three places of a prefix, which prefixes it may belong to: three look-ups and two
// ands pass over what begins none.
var marks = func() (m [3][256]uint64) {
	for i, p := range append(prefixes(), pemBegin) {
		for j := range m {
			m[j][p[j]] |= 1 << i
		}
	}
	return m
}()

func prefixes() (list []string) {
	for _, p := range providers {
		list = append(list, p.prefix)
	}
	return list
}

// providers adds what looks like a token of a known maker, or a private key, in a part of the text.
func (f *finder) providers(from, to int) {
	scan(f.text[from:to], func(start, end int, label string) bool {
		f.hits = append(f.hits, hit{name: label, value: f.text[from+start : from+end], start: from + start, end: from + end})
		return true
	})
}

// provided returns the first token in a value.
func provided(value string) (start, end int, ok bool) {
	scan(value, func(s, e int, _ string) bool {
		start, end, ok = s, e, true
		return false
	})
	return start, end, ok
}

// scan finds tokens and private keys in order, until report returns false.
func scan(s string, report func(start, end int, label string) bool) {
	for i := 0; i+2 < len(s); i++ {
		m := marks[0][s[i]]
		if m == 0 {
			continue
		}
		if m &= marks[1][s[i+1]] & marks[2][s[i+2]]; m == 0 {
			continue
		}
		start, end, label := i, 0, "private-key"
		if m>>len(providers) != 0 {
			end = privateKey(s, i)
		} else {
			end, label = token(s, i, m)
		}
		if end == 0 {
			continue
		}
		if !report(start, end, label) {
			return
		}
		i = end - 1
	}
}

// maxToken is the most bytes of a token: what goes on for longer is data.
const maxToken = 2048

// token returns where a token that begins at i ends, or 0. m has the bits of the candidates.
func token(s string, i int, m uint64) (end int, label string) {
	if i > 0 && (isAlnum(s[i-1]) || s[i-1] == '_') {
		return 0, ""
	}
	for ; m != 0; m &= m - 1 {
		p := &providers[bits.TrailingZeros64(m)]
		if !strings.HasPrefix(s[i:], p.prefix) {
			continue
		}
		first := i + len(p.prefix)
		end := first
		for end < min(len(s), first+maxToken) && p.alphabet[s[end]] {
			end++
		}
		for end > first && (s[end-1] == '.' || s[end-1] == '-') {
			end-- // of the sentence around it
		}
		rest := s[first:end]
		if len(rest) < p.min || p.max > 0 && len(rest) > p.max || end < len(s) && isAlnum(s[end]) {
			continue
		}
		if drawn(rest, p.mixed) && (p.check == nil || p.check(s[i:end])) {
			return end, p.label
		}
	}
	return 0, ""
}

// drawn reports whether a token's rest looks drawn at random and not made up as an example.
func drawn(s string, mixed bool) bool {
	var seen [256]bool
	distinct, digits, upper, lower := 0, 0, 0, 0
	run := 0
	for i := range len(s) {
		c := s[i]
		if !seen[c] {
			seen[c] = true
			distinct++
		}
		if i > 0 && s[i-1] == c {
			if run++; run >= 4 {
				return false
			}
		} else {
			run = 0
		}
		switch {
		case isDigit(c):
			digits++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= 'A' && c <= 'Z':
			upper++
		}
	}
	if distinct < 8 || digits+upper+lower == 0 || strings.Contains(s, "EXAMPLE") {
		return false
	}
	return !mixed || digits > 0 && upper > 0 && lower > 0
}

func isJWT(token string) bool {
	head, rest, _ := strings.Cut(token, ".")
	body, sign, ok := strings.Cut(rest, ".")
	return ok && len(head) >= 10 && strings.HasPrefix(body, "eyJ") && len(body) >= 10 && len(sign) >= 16 && !strings.Contains(sign, ".")
}

// maxKey is the most bytes that a private key is looked for in.
const maxKey = 64 << 10

// privateKey returns where the private key that begins at i ends, or 0: a header alone is none.
func privateKey(s string, i int) int {
	s = s[:min(len(s), i+maxKey)]
	head := s[i:min(len(s), i+80)]
	if !strings.HasPrefix(head, pemBegin) {
		return 0
	}
	title, _, ok := strings.Cut(head[len(pemBegin):], "-----")
	if !ok || !strings.HasSuffix(strings.TrimSuffix(title, " BLOCK"), "PRIVATE KEY") {
		return 0
	}
	first := i + len(pemBegin) + len(title) + 5
	end, chars := first, 0
	bare, bareChars := first, 0 // up to the last whole line, of a key that is cut off
	whole := true
	for ; end < len(s) && (base64Set[s[end]] || strings.IndexByte(" \t\r\n\\\"',:-()", s[end]) >= 0); end++ {
		if whole = whole && strings.IndexByte(",:-()", s[end]) < 0; whole && s[end] == '\n' {
			bare, bareChars = end, chars
		}
		switch {
		case strings.HasPrefix(s[end:], pemBegin):
			return 0
		case strings.HasPrefix(s[end:], "-----END "):
			if chars < 40 {
				return 0
			}
			if n := strings.Index(s[end+9:], "-----"); n >= 0 && n < 80 {
				return end + 9 + n + 5
			}
			return end
		case base64Set[s[end]]:
			chars++
		}
	}
	if whole && end == len(s) {
		bare, bareChars = end, chars
	}
	if bareChars < 64 {
		return 0
	}
	return first + len(strings.TrimRight(s[first:bare], " \t\r\n\\\"',:-()"))
}
