// What each code of an error means: [cause, remedy], in the groups of docs/errors.md, which docs/errors.mjs makes of this and of the messages in
// the source. A code keeps its meaning; one that is not here does not compile. Only the types of this file are bundled.

const REPORT = "A defect of limbeck, or of the program that calls its inner parts: please report it with the command.";
const AGAIN = "Fetch the file again, or save the model anew.";

export const errorCodes = {
  "Files and folders": {
    FILE_NOT_FOUND: ["A file that was named is not there.", "Correct the path."],
    FOLDER_NOT_FOUND: ["A folder that was named is not there.", "Correct the path."],
    NOT_A_FILE: ["The name is a folder's, a device's or a pipe's.", "Name a plain file."],
    NOT_A_FOLDER: ["The name, or a part of the path, is a file's.", "Name a folder."],
    PERMISSION_DENIED: [
      "The operating system, or in a page its user, does not let this be read or written.",
      "Change the rights, have the user allow it, or name another place.",
    ],
    LINK_LEAVES_FOLDER: [
      "A symbolic link leads out of the model's folder, or in a circle; such links could read private files.",
      "Put the file itself into the folder.",
    ],
    UNSAFE_FILE_NAME: [
      "A file names another that is not plainly in its own folder.",
      "Rename the file and its mention to letters, digits, dots, dashes and underscores.",
    ],
    LFS_POINTER: ["A clone without git-LFS has a note in place of the file.", "Run `git lfs pull` in that clone."],
    NOT_UTF8: ["A text file of another encoding, or no text.", "Save it as UTF-8."],
    INVALID_JSON: ["A JSON file is not well-formed, or nests too deeply.", "Mend it at that line and column."],
    DUPLICATE_KEY: ["One JSON object has a key twice; readers disagree on which one holds.", "Remove one of the two."],
    FILE_CHANGED: [
      "A file became shorter while it was read.",
      "Leave files alone while limbeck reads them; start again.",
    ],
    OUTPUT_EXISTS: [
      "The output folder has something in it already.",
      "Name another `--out`, allow `--overwrite`, or go on with `--resume`.",
    ],
    NOT_REPLACEABLE: [
      "`--overwrite` would remove what does not look like a model.",
      "Remove the folder yourself, or name another one.",
    ],
    NAME_TAKEN: ["A file beside the model would have the name of one of its own.", "Give the extra file another name."],
    DISK_FULL: [
      "No space, or no quota, is left. What was whole before is still whole.",
      "Free some space, then go on with `--resume`.",
    ],
    WRITE_STALLED: [
      "The system takes no more bytes, without saying why.",
      "Look at the disk, then go on with `--resume`.",
    ],
    IO_ERROR: ["The operating system failed to read or write.", "Look at the disk or network drive; start again."],
    NO_STORAGE: [
      "The page has no storage of its own: it is not served by https, or the window is a private one.",
      "Serve it by https, or take the student as files.",
    ],
    NO_PATHS: ["An edge worker was given a path.", "Give a URL, or files: `{ name, bytes }`, or `Files`."],
  },

  Models: {
    NO_CONFIG: ["The folder has no config.json.", "Name the folder of a Hugging Face model, downloaded whole."],
    INVALID_CONFIG: [
      "Fields of config.json are missing, of a wrong type, or contradict each other; all are listed.",
      "Correct the named fields.",
    ],
    UNSUPPORTED_MODEL_TYPE: [
      "The model is of an architecture that limbeck does not have.",
      "Use a BERT, DistilBERT or MobileBERT.",
    ],
    NO_WEIGHTS: ["The folder has no weights.", "Download the model whole."],
    NO_SAFETENSORS: [
      "Weights are there in a format that can run code.",
      "Convert them with the command in the message.",
    ],
    INVALID_INDEX: [
      "model.safetensors.index.json and the files that it names do not agree.",
      "Fetch index and shards again, from one version of the model.",
    ],
    MISSING_SHARD: ["A part of the weights is not there.", "Fetch the named file as well."],
    AMBIGUOUS_TENSOR: ["Two tensors are one under an older and a newer name.", "Remove one of them from the file."],
    UNTIED_DECODER: [
      "The masked-LM head has a matrix of its own instead of the word embeddings.",
      "Use a model whose decoder is tied, or train another head with `limbeck pretrain`.",
    ],
    WEIGHTS_MISMATCH: [
      "Tensors are missing, unexpected or of another shape than config.json says.",
      "Take config.json and weights from one model.",
    ],
    NONFINITE_WEIGHTS: [
      "Weights hold NaN or infinity.",
      "Use an earlier checkpoint; `--allow-nonfinite` loads them all the same. They are never saved.",
    ],
    UNSUPPORTED_DTYPE: ["Weights are integers or 8-bit floats.", "Save the model in float32."],
    NO_CLASSIFIER: ["A pre-trained model has no classifier.", "Fine-tune it first: `limbeck finetune`."],
    NO_PAIR: ["The model compares two texts, and one was given.", "Give a second text, or name its column."],
    MODEL_LABELS: [
      "Model and data, or model and teacher, have other labels.",
      "Use a model and data of one task, or name the same labels in both.",
    ],
    TEACHER_LABELS: ["Several teachers have different labels.", "Use teachers of one task."],
    VOCABULARY_SIZE: [
      "Tokenizer and model do not have as many tokens.",
      "Take both from one model, or correct vocab_size.",
    ],
    VOCABULARIES: [
      "Teachers, or teacher and student, read the text with different tokens.",
      "Use models of one vocabulary, or a recipe that compares logits only.",
    ],
    NO_MASKED_LM_HEAD: [
      "A stage compares probabilities of masked tokens, and the model has no head for them.",
      "Train one with `limbeck pretrain`, name a model that has one, or leave the stage out.",
    ],
    MASKED_LM_WIDTH: [
      "A MobileBERT's masked-LM head needs states as wide as its embeddings.",
      "Choose a student of that width.",
    ],
    UNWRITABLE_TENSOR: ["A tensor to be saved has a wrong size, or a name that the format does not allow.", REPORT],
  },

  safetensors: {
    SAFETENSORS_HEADER_TOO_SMALL: ["The file is shorter than any can be.", AGAIN],
    SAFETENSORS_HEADER_TOO_LARGE: ["The first bytes are no length: this is another kind of file.", AGAIN],
    SAFETENSORS_INVALID_HEADER_LENGTH: ["The file ends inside its header.", AGAIN],
    SAFETENSORS_INVALID_HEADER: ["The header is not UTF-8.", AGAIN],
    SAFETENSORS_INVALID_HEADER_JSON: ["The header is not a JSON object.", AGAIN],
    SAFETENSORS_INVALID_METADATA: ["Its metadata hold something else than strings.", "Save it with strings only."],
    SAFETENSORS_INVALID_TENSOR_INFO: ["A tensor lacks dtype, shape or data_offsets, or has them wrongly.", AGAIN],
    SAFETENSORS_INVALID_INTEGER: ["An extent or an offset is negative, fractional, too large or no number.", AGAIN],
    SAFETENSORS_UNKNOWN_DTYPE: ["A dtype that the format does not have.", "Save the model in float32."],
    SAFETENSORS_INVALID_OFFSET: ["Data overlap, or leave a hole in which something could hide.", AGAIN],
    SAFETENSORS_SIZE_OVERFLOW: ["A shape of more elements than can be counted.", AGAIN],
    SAFETENSORS_MISALIGNED_SLICE: ["A tensor of less than whole bytes.", AGAIN],
    SAFETENSORS_WRONG_TENSOR_SIZE: ["A tensor's data are not as long as its shape says.", AGAIN],
    SAFETENSORS_TRUNCATED: ["The file ends before its data do: an incomplete download.", AGAIN],
    SAFETENSORS_TRAILING_BYTES: ["Bytes follow the last tensor.", AGAIN],
  },

  Tokenizers: {
    NO_TOKENIZER: [
      "The folder has neither tokenizer.json nor vocab.txt.",
      "Add the files, or name a folder that has them.",
    ],
    BAD_TOKENIZER: [
      "A tokenizer file is no valid JSON, its ids are not right, or it lacks a special token.",
      "Take the tokenizer's files from the model that it belongs to.",
    ],
    UNSUPPORTED_TOKENIZER: [
      "The tokenizer is not BERT's WordPiece; another would give wrong ids.",
      "Use a model with a BertTokenizer.",
    ],
    INVALID_TOKENIZER: ["tokenizer_config.json is no JSON object.", "Take the file from the model that it belongs to."],
    INCOMPLETE_TOKENIZER: [
      "Of the files to be saved with the model one is absent.",
      "Pass the `files` of a loaded tokenizer.",
    ],
    MAX_LENGTH: [
      "The length is too short for the special tokens, or longer than the model's positions.",
      "Choose another `--max-length`.",
    ],
    NO_MASK_TOKEN: ["Masked-LM needs [MASK], which this vocabulary lacks.", "Use a model that has it."],
  },

  Data: {
    UNKNOWN_FORMAT: ["The file's name does not tell its format.", "Say `--format`."],
    UNKNOWN_ENCODING: [
      "No such encoding is known.",
      "Name another one with `--encoding`, or convert the file to UTF-8.",
    ],
    BAD_ENCODING: ["The bytes are not of the encoding.", "Name the right one with `--encoding`, or convert the file."],
    EMPTY_FILE: ["There is nothing to learn from.", "Give a file with examples."],
    BAD_ROW: [
      "A row is malformed: no JSON, a quote that never ends, too many cells, no text.",
      "Mend the row, or allow some such rows with `--skip-bad N`.",
    ],
    BAD_LABEL: [
      "A label is not one of the model's, or no number where one is needed.",
      "Correct the row; for ids counted from 1, subtract 1.",
    ],
    TOO_MANY_LABELS: [
      "The label column has a value of its own in nearly every row.",
      "Name the right column with `--label-column`, or say `--task regression`.",
    ],
    MIXED_LABELS: ["Labels are names in some rows and fractions in others.", "Say `--task`, or correct the rows."],
    BAD_SOFT_LABELS: [
      "A row's soft labels are no probabilities (from 0 to 1, of sum 1), or no numbers.",
      "Correct the row, or say `--soft-label-form logits`.",
    ],
    SOFT_LABEL_COUNT: [
      "There are not as many columns with soft labels as classes.",
      "Name one column for each class, in the order of the labels.",
    ],
    NO_COLUMN: ["A column is not there, or cannot be told from the header.", "Name it: `--text-column` and the like."],
    EVAL_COLUMNS: ["One of two files has pairs of texts, the other single ones.", "Give two files of one task."],
    NO_LABELS: ["No row has a label, and the recipe learns from labels.", "Name the column with `--label-column`."],
    NO_VECTORS: ["No word of the file with word vectors is in the vocabulary.", "Name the right file."],
    BAD_VECTORS: ["A line with a word vector has other numbers than the first.", "Correct that line."],
    SHORT_TEXT: ["A single text cannot be split.", "Give more lines, or `--eval-text`."],
    NOTHING_TO_MASK: ["The text has only unknown words.", "Give text in the language of the model."],
  },

  Options: {
    OPTION_MISSING: ["An option is needed.", "Give it; `limbeck COMMAND --help` lists all."],
    OPTION_RANGE: ["A value is outside of what it means.", "Choose one from the range in the message."],
    CONFIG: ["The file of `--config` is no JSON object.", "Write an object of options."],
    CONFIG_UNREADABLE: ["The file of `--config` cannot be read.", "Correct the path or its rights."],
    CONFIG_KEY: ["The file of `--config` has an option that there is not, or one twice.", "Correct the name."],
    CONFIG_VALUE: ["A value in the file of `--config` has a wrong type.", "Write what the message expects."],
    PAIR: [
      "`predict --pair` got texts that do not pair up.",
      "Give two texts for each pair, in lines with a tab between.",
    ],
    DEVICE: ["There is no such device.", "Choose auto, wasm, webgpu or reference."],
    MODEL: [
      "`pretrain --model` cannot be cut out of a teacher.",
      "Name a folder, or a fresh model such as bert:4x312.",
    ],
    TOKENIZER: ["Only a fresh model is given a tokenizer.", "Leave `--tokenizer` out."],
    TARGETS: ["`--targets argmax` needs classes, and the teacher gives a score.", "Leave it out."],
    EVAL_TEXT: ["No stage reads plain text, so there is none to judge by a text.", "Leave `--eval-text` out."],
    NO_CACHE: ["An option of the teacher cache without a cache.", "Name its folder: `--cache`."],
    NO_STEPS: ["The options leave nothing to train.", "Raise `--epochs` or `--max-steps`."],
  },

  "Recipes and students": {
    UNKNOWN_RECIPE: ["There is no recipe of this name.", "`limbeck recipes` lists them; or name a file NAME.json."],
    INVALID_RECIPE: ["The file is no recipe; its faults are listed.", "Correct the places in the message."],
    RECIPE_OPTION: ["The recipe has nothing that this option could change.", "Leave it out, or use another recipe."],
    UNKNOWN_STAGE: ["`--stage` names a stage or an option that there is not.", "Choose from those in the message."],
    UNKNOWN_OPTIMIZER: ["There is no such optimiser.", "Choose from those in the message."],
    NO_TEXT: ["A stage reads plain text, and none was given.", "Give `--text`, or leave the stage out."],
    NO_TRAINING_DATA: ["A stage learns from rows of the task, and none were given.", "Give `--train`."],
    NO_TASK_STAGE: ["Every stage reads plain text alone.", "Leave out what belongs to rows of a task."],
    NO_FEATURE: ["The recipe compares what one of the models does not have.", "Use another recipe or model."],
    RECIPE_TEACHERS: ["The recipe cannot learn from so many teachers, or from none.", "Give as many as it needs."],
    RECIPE_VOCABULARY: [
      "The recipe compares probabilities of tokens, and the vocabularies differ.",
      "Use a student of the teacher's vocabulary.",
    ],
    RECIPE_WIDTHS: [
      "The recipe compares vectors of one width, and the models differ.",
      "Give the term a `project`, or use a student as wide as the teacher.",
    ],
    RECIPE_HEADS: ["Attention heads do not match, or do not divide a width.", "Choose the number in the message."],
    RECIPE_LAYERS: ["The layer map leaves the student no layer to compare.", "Use another map, or a deeper student."],
    LAYER_MAP: ["`--layer-map` does not fit the models.", "Name one teacher layer for each student layer."],
    TEACHER: ["No teacher was named, or soft labels and a teacher.", "Name one of the two."],
    SOFT_LABELS: [
      "Soft labels of a file cannot do what a teacher does here.",
      "Name a `--teacher`, or leave out what the message says.",
    ],
    STUDENT: ["`--student` is not understood, or cannot be made of this teacher.", "Write it as the message says."],
    STUDENT_LAYERS: ["The source has no such layer.", "Choose from its layers, counted from 0."],
    STUDENT_HEADS: ["The heads do not divide the width.", "Write one of the numbers in the message."],
    STUDENT_SLICE: ["A slice is larger than its source, or not of whole heads.", "Choose sizes as the message says."],
    INIT_FROM: ["Nothing is cut out of the model of `--init-from`, or it is needed.", "Leave it out, or give it."],
    EMBEDDINGS: ["The student does not begin with word vectors.", "Leave `--embeddings` out, or use bilstm."],
    ASSISTANT: ["The recipe cannot go by way of an assistant.", "Distil in two runs."],
    ASSISTANT_EXISTS: [
      "The folder of an assistant has something else in it.",
      "Name another `--out`, allow `--overwrite`, or `--resume`.",
    ],
    NO_TAGGER: [
      "Copies with other words of the same part of speech need a tagger.",
      "Name a column, install `compromise`, or say `--no-pos`.",
    ],
    NO_AUGMENTATION_MODEL: ["Copies need a model with a masked-LM head.", "Name one with `--augmentation-model`."],
  },

  Runs: {
    NONFINITE_LOSS: [
      "Loss or gradient were NaN or infinite in `--max-bad-steps` steps in a row. These were skipped; the weights before are kept.",
      "Use a smaller `--learning-rate`; leave out `--fp16`.",
    ],
    CHECKPOINT_DAMAGED: [
      "A checkpoint's files are not those of its manifest.",
      "Nothing: `--resume` uses the one before. If it happens again, look at the disk.",
    ],
    CHECKPOINT_STAGE: ["The run was begun with another recipe.", "Give the recipe that it was begun with."],
    RESUME_CHANGED: [
      "Data, models, options or version are not those that the run was begun with; all differences are listed.",
      "Give the old ones, start anew, or say `--force-resume`.",
    ],
    BEST_BY: [
      "`--best-by` names no metric that the run could compare, or there is nothing that is evaluated or kept.",
      "Name one of the list, `--eval` and `--out`.",
    ],
    RESUME_WHERE: ["`--resume` without a folder.", "Name it with `--out`."],
    RUN_OWNED: ["Another process trains into this folder.", "Wait for it, end it, or name another folder."],
    RUN_TAKEN: ["Another process took this run over.", "Nothing: that process goes on with it."],
    NO_WORKER: ["limbeck/web computes in workers, which this host has not.", "Import `limbeck` itself."],
    WORKER_FAILED: [
      "The worker of limbeck/web ended, or did not load.",
      "Serve its script beside the others; a smaller batch or model needs less memory.",
    ],
    WORKER_TERMINATED: ["The worker was ended before it answered.", "Call again."],
    NOT_SENDABLE: ["Functions and devices cannot be sent to a worker.", "Give plain data and files."],
    RUN_LEFT: ["The events of a run were left before its end.", "Read all of them, or ask for `result` alone."],
    CACHE_RANGE: ["A number is too large for half precision.", "Say `--cache-precision f32`."],
    CACHE_ROWS: ["The teacher cache is of other rows.", REPORT],
  },

  Devices: {
    OUT_OF_MEMORY: [
      "The memory of WebAssembly or of the GPU does not hold it. In training, batches were already made as small as they can be.",
      "Use a smaller length or model.",
    ],
    THREAD_START: ["A thread did not start.", "Ask for fewer `--threads`."],
    NO_THREADS: ["An edge worker was asked for a build with threads.", "Ask for one thread."],
    THREAD_FAILED: ["A kernel stopped on a thread.", "Go on with `--resume`; if it happens again, please report it."],
    NOT_BUILT: ["The compiled kernels are not where the program is.", "Run `npm run build`, or serve the .wasm files."],
    NO_WEBGPU: ["This host has no WebGPU.", "Use `--device wasm`, or install `webgpu`."],
    NO_ADAPTER: ["WebGPU finds no GPU.", "Use `--device wasm`, or look at the driver."],
    GPU_REFUSED: ["The driver gave no device.", "Use `--device wasm`."],
    GPU_WRONG: ["The GPU computes wrongly, and is not used.", "Use `--device wasm`, or another driver."],
    GPU_SLOW: ["An adapter that does not say what it is, and is slower than the CPU.", "Use `--device wasm`."],
    GPU_SOFTWARE: ["The adapter computes on the CPU.", "Use wasm, or ask for it with `--device webgpu`."],
    GPU_LOST: [
      "The GPU was lost: a driver's reset, sleep, or its owner took it.",
      "Runs go on by themselves up to three times; then go on with `--resume`.",
    ],
    GPU_ERROR: ["The GPU or its driver reported an error.", "Go on with `--resume`, or use `--device wasm`."],
    GPU_LIMIT: ["The model needs more than the GPU allows.", "Use a smaller batch, length or model, or wasm."],
    GPU_FEATURE: ["The GPU lacks what was asked for.", "Use `--device wasm`, or leave the option out."],
    FP16: ["Half precision needs a GPU that has it.", "Leave `--fp16` out."],
    PROFILE: [
      "The reference executor is not timed, nor a host whose clock stands still while it computes.",
      "Use wasm or webgpu, on another host.",
    ],
  },

  Downloads: {
    REMOTE_NAME: [
      "The name of a model, or of a folder on a server, is not written as such are.",
      "Write `hf:org/model`.",
    ],
    REMOTE_NOT_FOUND: ["The server has nothing of this name or revision.", "Look how it is spelled."],
    READ_ONLY_FOLDER: [
      "What is on a server, or was given as files, cannot be written to.",
      "Name a folder of this machine.",
    ],
    ACCESS_REFUSED: [
      "The model is private, or its terms were not accepted.",
      "Give a token that may read it: `HF_TOKEN`.",
    ],
    OFFLINE: ["`HF_HUB_OFFLINE` is set, and the cache has no such model.", "Unset it, or download the model before."],
    CORS_REFUSED: ["The server does not let pages of another origin read it.", "Serve the files beside the page."],
    NO_ANSWER: ["The server does not answer.", "Look at the network and the address; try again."],
    SERVER_BUSY: ["The server is overloaded, or had too many requests.", "Try again later."],
    SERVER_REFUSED: ["The server answers with another error.", "Look at its number, and at the address."],
    HUB_ANSWER: ["What answers is no Hugging Face hub.", "Look at the address, and at `HF_ENDPOINT`."],
    DOWNLOAD_INCOMPLETE: ["A download ended too early.", "Try again."],
    DOWNLOAD_DAMAGED: ["What arrived is not what the hub has.", "Try again."],
  },

  "Defects of a program": {
    BAD_ANGLE: ["cos was asked for too large an angle.", REPORT],
    BAD_EXPONENT: ["powInt was asked for a negative or fractional exponent.", REPORT],
    BAD_RANGE: ["A random integer was asked for from an impossible range.", REPORT],
    BAD_SEED: ["A seed is no integer.", REPORT],
    BATCH_SEQUENCE: ["A sequence without tokens, or with other segments than tokens.", REPORT],
    BATCH_SIZE: ["A batch of more sequences than it has places.", REPORT],
    DISPOSED: ["An executor was used after its end.", REPORT],
    INPUT_UNWRITTEN: ["A program ran before its inputs were written.", REPORT],
    NO_GRADIENT: ["A loss depends on nothing that is trained.", REPORT],
    OP_ALIAS: ["An op reads what it writes.", REPORT],
    OP_BIND: ["An op binds what is none of its inputs.", REPORT],
    OP_GRID: ["A dispatch without workgroups.", REPORT],
    OP_INPUT: ["An op without its inputs.", REPORT],
    OP_SHAPE: ["Shapes do not fit.", REPORT],
    OP_WRITES: ["An op would write what is no state.", REPORT],
    FROZEN_STATE: ["A program would train where weights are kept packed.", REPORT],
    POOL_DISPOSED: ["Threads were used after their end.", REPORT],
    READ_SIZE: ["A value was read with another shape than it has.", REPORT],
    READ_UNKNOWN: ["A value was read that nobody wrote.", REPORT],
    UNSUPPORTED_OP: ["An executor has no kernel for an op.", REPORT],
    VALUE_REDEFINED: ["One name stands for two values.", REPORT],
    WRITE_SIZE: ["A value was written with another number of elements.", REPORT],
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, readonly [cause: string, remedy: string]>>>>;

type Codes<T> = { [Group in keyof T]: keyof T[Group] }[keyof T];

/** Every code that an error of limbeck may have. */
export type ErrorCode = Codes<typeof errorCodes>;
