package trackingplan

import (
	"encoding/json"
	"slices"
)

// sound reports whether a schema is right for certain: it has only keywords of the common
// kind, with values that they may have. Most schemas of a large plan are sound, and those
// need not be compiled before a message is compared with them. Of another one, the library
// decides.
func sound(v any, depth int) bool {
	m, ok := v.(map[string]any)
	if !ok {
		_, isBool := v.(bool)
		return isBool && depth > 0
	}
	if depth > mostDepth/4 {
		return false
	}
	for key, value := range m {
		if !soundKeyword(key, value, depth) {
			return false
		}
	}
	return true
}

func soundKeyword(key string, v any, depth int) bool {
	switch key {
	case "properties":
		fields, ok := v.(map[string]any)
		for _, field := range fields {
			ok = ok && isObject(field) && sound(field, depth+1)
		}
		return ok
	case "items", "additionalProperties":
		_, isBool := v.(bool)
		return isBool && key == "additionalProperties" || isObject(v) && sound(v, depth+1)
	case "type":
		return soundTypes(v)
	case "required":
		return distinctStrings(v)
	case "enum":
		list, ok := v.([]any)
		return ok && len(list) > 0 && distinctStrings(v)
	case "title", "description", "$comment":
		_, ok := v.(string)
		return ok
	case "format":
		s, ok := v.(string)
		return ok && slices.Contains(knownFormats, s)
	case "minimum", "maximum":
		_, ok := v.(json.Number)
		return ok
	case "$schema":
		s, ok := v.(string)
		return ok && depth == 0 && (s == "" || drafts.MatchString(s))
	case "id", "$id", "default", "labels", "examples":
		_, isList := v.([]any)
		return key != "examples" || isList
	}
	return false
}

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

func soundTypes(v any) bool {
	if s, ok := v.(string); ok {
		return s == "any" || slices.Contains(typeNames, s)
	}
	list, ok := v.([]any)
	for _, t := range list {
		ok = ok && soundTypes(t) && isString(t)
	}
	return ok && len(list) > 0
}

func isString(v any) bool {
	_, ok := v.(string)
	return ok
}

func distinctStrings(v any) bool {
	list, ok := v.([]any)
	seen := make(map[any]bool, len(list))
	for _, e := range list {
		if !ok || !isString(e) || seen[e] {
			return false
		}
		seen[e] = true
	}
	return ok
}
