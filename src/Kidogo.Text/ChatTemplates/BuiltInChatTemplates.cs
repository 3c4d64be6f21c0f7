// The chat templates that have a name: for models without one, and for --chat-template NAME. Our own text, one table.
namespace Kidogo.Text.ChatTemplates;

/// <summary>The built-in templates.</summary>
internal static class BuiltInChatTemplates
{
    private static readonly (string Name, string Source)[] s_table =
    [
        ("alpaca", """
            {%- for m in messages -%}
            {%- if m.role == 'system' -%}
            {{ m.content ~ '\n\n' }}
            {%- elif m.role == 'user' -%}
            {{ '### Instruction:\n' ~ m.content ~ '\n\n' }}
            {%- else -%}
            {{ '### Response:\n' ~ m.content ~ eos_token ~ '\n\n' }}
            {%- endif -%}
            {%- endfor -%}
            {%- if add_generation_prompt -%}
            {{ '### Response:\n' }}
            {%- endif -%}
            """),
        ("chatml", """
            {%- for m in messages -%}
            {{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }}
            {%- endfor -%}
            {%- if add_generation_prompt -%}
            {{ '<|im_start|>assistant\n' }}
            {%- endif -%}
            """),
        ("deepseek", """
            {{- bos_token -}}
            {%- for m in messages -%}
            {%- if m.role == 'system' -%}
            {{ m.content }}
            {%- elif m.role == 'user' -%}
            {{ '<｜User｜>' ~ m.content }}
            {%- else -%}
            {{ '<｜Assistant｜>' ~ m.content ~ '<｜end▁of▁sentence｜>' }}
            {%- endif -%}
            {%- endfor -%}
            {%- if add_generation_prompt -%}
            {{ '<｜Assistant｜>' }}
            {%- endif -%}
            """),
        ("gemma", """
            {{- bos_token -}}
            {%- set ns = namespace(system='') -%}
            {%- for m in messages -%}
            {%- if m.role == 'system' -%}
            {%- set ns.system = ns.system ~ m.content ~ '\n\n' -%}
            {%- else -%}
            {{ '<start_of_turn>' ~ ('model' if m.role == 'assistant' else m.role) ~ '\n' ~ ns.system ~ (m.content | trim) ~ '<end_of_turn>\n' }}
            {%- set ns.system = '' -%}
            {%- endif -%}
            {%- endfor -%}
            {%- if add_generation_prompt -%}
            {{ '<start_of_turn>model\n' }}
            {%- endif -%}
            """),
        ("llama2", """
            {%- set ns = namespace(system='') -%}
            {%- for m in messages -%}
            {%- if m.role == 'system' -%}
            {%- set ns.system = '<<SYS>>\n' ~ m.content ~ '\n<</SYS>>\n\n' -%}
            {%- elif m.role == 'user' -%}
            {{ bos_token ~ '[INST] ' ~ ns.system ~ (m.content | trim) ~ ' [/INST]' }}
            {%- set ns.system = '' -%}
            {%- else -%}
            {{ ' ' ~ (m.content | trim) ~ ' ' ~ eos_token }}
            {%- endif -%}
            {%- endfor -%}
            """),
        ("llama3", """
            {{- bos_token -}}
            {%- for m in messages -%}
            {{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ (m.content | trim) ~ '<|eot_id|>' }}
            {%- endfor -%}
            {%- if add_generation_prompt -%}
            {{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
            {%- endif -%}
            """),
        ("mistral", """
            {{- bos_token -}}
            {%- set ns = namespace(system='') -%}
            {%- for m in messages -%}
            {%- if m.role == 'system' -%}
            {%- set ns.system = m.content ~ '\n\n' -%}
            {%- elif m.role == 'user' -%}
            {{ '[INST] ' ~ ns.system ~ m.content ~ ' [/INST]' }}
            {%- set ns.system = '' -%}
            {%- else -%}
            {{ ' ' ~ m.content ~ eos_token }}
            {%- endif -%}
            {%- endfor -%}
            """),
        ("phi3", """
            {%- for m in messages -%}
            {{ '<|' ~ m.role ~ '|>\n' ~ m.content ~ '<|end|>\n' }}
            {%- endfor -%}
            {%- if add_generation_prompt -%}
            {{ '<|assistant|>\n' }}
            {%- endif -%}
            """),
        ("vicuna", """
            {%- for m in messages -%}
            {%- if m.role == 'system' -%}
            {{ m.content ~ '\n\n' }}
            {%- elif m.role == 'user' -%}
            {{ 'USER: ' ~ m.content ~ '\n' }}
            {%- else -%}
            {{ 'ASSISTANT: ' ~ m.content ~ eos_token ~ '\n' }}
            {%- endif -%}
            {%- endfor -%}
            {%- if add_generation_prompt -%}
            {{ 'ASSISTANT:' }}
            {%- endif -%}
            """),
        ("zephyr", """
            {%- for m in messages -%}
            {{ '<|' ~ m.role ~ '|>\n' ~ m.content ~ eos_token ~ '\n' }}
            {%- endfor -%}
            {%- if add_generation_prompt -%}
            {{ '<|assistant|>\n' }}
            {%- endif -%}
            """),
    ];

    /// <summary>The names, in order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. s_table.Select(entry => entry.Name)];

    /// <summary>The text of a template, or null.</summary>
    public static string? Find(string name) => s_table.FirstOrDefault(entry => entry.Name == name).Source;
}
