package vault

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// xmlPair finds a key with its value in the text of an XML property list, in a comment and where a key stands twice as
// well: both can be read, though no parser returns them.
var xmlPair = regexp.MustCompile(`<key>\s*([^<]+?)\s*</key>\s*<(?:string|integer|real)>([^<]*)</`)

// launchdKeys are keys of launchd that are called like secrets and are none.
var launchdKeys = []string{"SecureSocketWithKey"}

var xmlText = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&amp;", "&")

// find returns the secrets: keys with a value, options of a command with their argument, assignments in strings, and in
// XML what stands in comments. The places of the hits are those in their strings.
func (l *propertyList) find() []hit {
	var hits []hit
	seen := map[string]bool{}
	add := func(list []hit) {
		for _, h := range list {
			hits = append(hits, h)
			seen[h.value] = true
		}
	}
	visit(l.top, "", func(v any, name, option string) any {
		add(leafHits(v, name, option))
		return v
	})
	if l.raw == "" {
		return hits
	}
	raw := &finder{kind: Plist, text: l.raw}
	for _, m := range xmlPair.FindAllStringSubmatchIndex(l.raw, -1) {
		if name := l.raw[m[2]:m[3]]; !slices.Contains(launchdKeys, name) {
			raw.assigned([]string{name}, xmlText.Replace(l.raw[m[4]:m[5]]), m[4], m[5], "")
		}
	}
	for _, m := range xmlComment.FindAllStringIndex(l.raw, -1) {
		raw.shell(m[0]+4, m[1]-3)
	}
	raw.addresses(0, len(l.raw))
	raw.providers(0, len(l.raw))
	var values strings.Builder
	for _, h := range hits {
		values.WriteString(h.value + "\x00")
	}
	for _, h := range raw.sorted() {
		if !seen[h.value] && !strings.Contains(values.String(), h.value) && !strings.Contains(values.String(), xmlText.Replace(h.value)) {
			add([]hit{h})
		}
	}
	return hits
}

var xmlComment = regexp.MustCompile(`(?s)<!--.*?-->`)

// visit calls f with each value that holds no others, in a fixed order, and puts what it returns in its place. name is
// the key that the value belongs to, option the word before it in a list of arguments, if that is an option.
func visit(v any, name string, f func(v any, name, option string) any) {
	put := func(child any, name, option string, set func(any)) {
		switch child.(type) {
		case map[string]any, []any:
			visit(child, name, f)
		default:
			set(f(child, name, option))
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			put(v[k], k, "", func(to any) { v[k] = to })
		}
	case []any:
		option := ""
		for i, child := range v {
			put(child, name, option, func(to any) { v[i] = to })
			option = ""
			if s, ok := child.(string); ok && strings.HasPrefix(s, "-") && !strings.Contains(s, "=") {
				option = strings.TrimLeft(s, "-")
			}
		}
	}
}

// leafHits judges a value: as that of its key, as the argument of an option, as a command.
func leafHits(v any, name, option string) []hit {
	if slices.Contains(launchdKeys, name) {
		return nil
	}
	text, isText := v.(string)
	switch x := v.(type) {
	case string:
	case []byte:
		text = string(x)
	case bool, nil:
		return nil
	default:
		text = fmt.Sprint(x)
	}
	f := &finder{kind: Plist, text: text}
	argument := name == "ProgramArguments"
	if !argument && f.assigned([]string{name}, text, 0, len(text), "") || !isText {
		return f.hits
	}
	if option != "" && !strings.HasPrefix(text, "-") && f.assigned([]string{option}, text, 0, len(text), "") {
		return f.sorted()
	}
	f.shell(0, len(text))
	f.addresses(0, len(text))
	f.providers(0, len(text))
	if argument && len(f.hits) == 0 && !strings.ContainsAny(text, "/=") {
		f.assigned([]string{"argument"}, text, 0, len(text), "") // one that looks random
	}
	return f.sorted()
}
