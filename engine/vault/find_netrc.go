package vault

import "strings"

// netrc finds the passwords for hosts. A secret is named by its host.
func (f *finder) netrc() {
	host, macro := "default", false
	at := 0
	for line := range strings.Lines(f.text) {
		start := at
		at += len(line)
		if macro {
			macro = strings.TrimSpace(line) != "" // a macro ends with an empty line
			continue
		}
		fields, places := netrcFields(line)
		for i := 0; i < len(fields); i++ {
			switch key := fields[i]; {
			case key == "default":
				host = key
			case key == "macdef":
				macro, i = true, len(fields)
			case i+1 == len(fields):
			case key == "machine":
				i++
				host = fields[i]
			case key == "login", key == "password", key == "passwd", key == "account":
				i++
				name := host
				if key == "login" || key == "account" {
					name += "." + key
				}
				if !placeholder(fields[i]) {
					p := places[i]
					f.hits = append(f.hits, hit{
						name: joined([]string{name}), value: fields[i], start: start + p[0], end: start + p[1], identifier: key == "login",
					})
				}
			}
		}
	}
	f.netrcAcrossLines()
}

// netrcAcrossLines finds a password whose word stands in another line than "password".
func (f *finder) netrcAcrossLines() {
	fields, places := netrcFields(f.text)
	for i := 0; i+1 < len(fields); i++ {
		if p := places[i+1]; fields[i] == "password" && strings.Contains(f.text[places[i][1]:p[0]], "\n") {
			f.hits = append(f.hits, hit{name: "password", value: fields[i+1], start: p[0], end: p[1]})
		}
	}
}

// netrcFields splits a text at white space; a field may be in quotes, and a comment begins with "#".
func netrcFields(s string) (fields []string, places [][2]int) {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
			continue
		case c == '#':
			for i < len(s) && s[i] != '\n' {
				i++
			}
			continue
		case c == '"':
			last, next := quoted(s, i+1, '"', false, false, 0)
			fields = append(fields, unquote(s[i+1:last], '"', true))
			places = append(places, [2]int{i + 1, last})
			i = next
			continue
		}
		end := i
		for end < len(s) && strings.IndexByte(" \t\r\n", s[end]) < 0 {
			end++
		}
		fields = append(fields, s[i:end])
		places = append(places, [2]int{i, end})
		i = end
	}
	return fields, places
}
