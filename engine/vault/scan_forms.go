package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Form says how a value stands where it was found.
type Form string

// The forms that a Scanner looks for, in the spellings of the common writers of each.
const (
	Plain   Form = "plain"
	JSON    Form = "json"    // of strings: least escapes, those of Go with and without HTML, ASCII only, with \/
	XML     Form = "xml"     // of text and attributes: least escapes, named and numeric quotes, Go's white space
	Percent Form = "percent" // in paths, queries, forms and credentials of URLs, upper- and lower-case digits
	UTF16   Form = "utf-16"  // of either byte order
	Base64  Form = "base64"  // at each alignment, of either alphabet; not across line breaks
	Hex     Form = "hex"     // upper- or lower-case
)

// forms calls visit with each different spelling of the value, itself first.
func forms(value []byte, visit func(Form, []byte)) {
	seen := map[string]bool{}
	add := func(form Form, b []byte) {
		if !seen[string(b)] {
			seen[string(b)] = true
			visit(form, b)
		}
	}
	add(Plain, bytes.Clone(value))
	text := string(value)
	for _, escapes := range jsonEscapes {
		add(JSON, escapeJSON(text, escapes))
	}
	for _, r := range xmlReplacers {
		add(XML, []byte(r.Replace(text)))
	}
	for _, kept := range percentKept {
		add(Percent, escapePercent(text, kept, "%%%02X"))
		add(Percent, escapePercent(text, kept, "%%%02x"))
	}
	add(Percent, []byte(url.QueryEscape(text)))
	add(Percent, []byte(strings.ReplaceAll(url.QueryEscape(text), "~", "%7E"))) // as HTML forms do
	if utf8.Valid(value) {
		units := utf16.Encode([]rune(text))
		var little, big []byte
		for _, u := range units {
			little = binary.LittleEndian.AppendUint16(little, u)
			big = binary.BigEndian.AppendUint16(big, u)
		}
		add(UTF16, little)
		add(UTF16, big)
	}
	for before := range 3 {
		add(Base64, base64Middle(base64.RawStdEncoding, value, before))
		add(Base64, base64Middle(base64.RawURLEncoding, value, before))
	}
	lower := hex.EncodeToString(value)
	add(Hex, []byte(lower))
	add(Hex, []byte(strings.ToUpper(lower)))
}

// base64Middle returns the digits that depend on the value alone where it stands behind so many bytes (modulo 3) of
// something else, and whatever follows it.
func base64Middle(enc *base64.Encoding, value []byte, before int) []byte {
	all := enc.EncodeToString(append(make([]byte, before), value...))
	return []byte(all[(before*8+5)/6 : (before+len(value))*8/6])
}

// What beside quotes, backslashes and control characters is escaped in a JSON string.
var jsonEscapes = []func(r rune) bool{
	func(r rune) bool { return false },
	func(r rune) bool { return r == '\u2028' || r == '\u2029' },
	func(r rune) bool { return r == '\u2028' || r == '\u2029' || r == '<' || r == '>' || r == '&' },
	func(r rune) bool { return r > 0x7e },
	func(r rune) bool { return r == '/' },
	func(r rune) bool { return r == '/' || r > 0x7e },
}

func escapeJSON(s string, escaped func(r rune) bool) []byte {
	var out []byte
	for i, size := 0, 0; i < len(s); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(s[i:])
		short := strings.IndexRune("\"\\\b\f\n\r\t", r)
		switch {
		case r == utf8.RuneError && size == 1:
			out = append(out, s[i])
		case short >= 0:
			out = append(out, '\\', `"\bfnrt`[short])
		case r == '/' && escaped(r):
			out = append(out, `\/`...)
		case r < ' ' || escaped(r):
			for _, u := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, u)
			}
		default:
			out = append(out, s[i:i+size]...)
		}
	}
	return out
}

var xmlReplacers = []*strings.Replacer{
	strings.NewReplacer("&", "&amp;", "<", "&lt;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;"),
}

// What beside letters and digits stands for itself in a URL: in the strictest reading, in paths as Python and as Go see
// them, in components as browsers and as Go see them, and in a user's credentials.
var percentKept = []string{"-._~", "-._~/", "-._~$&+,/:;=@", "-._~!*'()", "-._~$&+:=@", "-._~$&+,;="}

func escapePercent(s, kept, format string) []byte {
	var out []byte
	for _, c := range []byte(s) {
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte(kept, c) >= 0 {
			out = append(out, c)
		} else {
			out = fmt.Appendf(out, format, c)
		}
	}
	return out
}
