"""What transformers makes of model folders: their class, the tensors that do not fit, token ids, logits (of a body its last states).

Asked by readers.test.ts: {"folders", "texts": [[text, pair or null]]} on stdin, a list of answers on stdout.
Needs torch, transformers, safetensors; made with torch 2.13.0 and transformers 5.24.0.
"""

import json
import sys

import torch
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

torch.set_num_threads(1)


def answer(folder, texts):
    config = AutoConfig.from_pretrained(folder)
    name = config.architectures[0]
    classifies, body = name.endswith("ForSequenceClassification"), name.endswith("Model")
    auto = AutoModelForSequenceClassification if classifies else AutoModel if body else AutoModelForMaskedLM
    # A body was trained without a pooler, where its class has one.
    without = {"add_pooling_layer": False} if name in ("BertModel", "MobileBertModel") else {}
    model, loaded = auto.from_pretrained(folder, output_loading_info=True, **without)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = []
    for text, pair in texts:
        encoded = tokenizer(text, pair, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            out = model(**encoded)
            logits = (out.last_hidden_state if body else out.logits).flatten()
        row = {name: encoded[name][0].tolist() for name in ("input_ids", "token_type_ids") if name in encoded}
        rows.append({**row, "logits": logits.tolist()})
    # Sets, tuples or lists, as the version has it.
    wrong = {key: sorted(map(str, loaded[key])) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    names = [config.id2label[i] for i in range(config.num_labels)] if classifies else None
    return {
        "architecture": name,
        "class": type(model).__name__,
        "tokenizer": type(tokenizer).__name__,
        "training": model.training,
        "longest": tokenizer.model_max_length,
        "labels": names,
        "wrong": wrong,
        "rows": rows,
    }


question = json.load(sys.stdin)
json.dump([answer(folder, question["texts"]) for folder in question["folders"]], sys.stdout)
